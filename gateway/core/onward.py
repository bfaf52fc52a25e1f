"""What is said of a decision to whoever is behind: only what is certain."""

from collections.abc import Iterator
from urllib.parse import quote

from gateway.core.facts import Facts


def onward(facts: Facts | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield account and country as headers, where they are certain."""
    if facts is None:
        return
    if isinstance(facts.account, str):
        # Escaped: an account id with a line break in it must not become a header of its own.
        yield b"gateway-account", quote(facts.account, safe="@:+!$*,=").encode("ascii")
    if isinstance(facts.country, str):
        yield b"gateway-country", facts.country.encode("ascii")
