"""A first text of a policy that closes a country, with its tests: to be edited, and right as it stands."""

from typing import Final

from gateway.core.country_names import NAMES
from gateway.core.errors import PolicyError
from gateway.policies.fields import NAME
from gateway.policies.findings import quoted
from gateway.policies.notices import TO_FILL_IN
from gateway.policies.schema import Kind
from gateway.policies.times import written
from gateway.policies.values import of_kind

_DAY: Final = 86_400_000_000
_WHO: Final = """\
    # By address or by residence. Where papers count too: or "{code}" in documents
    when: country == "{code}" or residence == "{code}"
"""


def scaffold(
    name: str,
    country: str,
    *,
    start: int | None = None,
    exit_until: int | None = None,
    owner: str = "compliance",
    basis: str = f"{TO_FILL_IN}: the law, order or decision",
) -> str:
    """Return the text of a policy that closes a country.

    It is closed from `start`, or after a window to leave that lasts from `start` to `exit_until` (exclusive); without
    either at once. Instants are microseconds since the epoch. Raise PolicyError where a name, code or date cannot be.
    """
    wrong = of_kind(Kind.COUNTRY, country)
    if wrong is not None:
        raise PolicyError(wrong)
    if not NAME.fullmatch(name):
        raise PolicyError(f"{quoted(name)} is no name: small letters, digits, `-`, `_` and `.`, at most 64")
    if start is not None and start < _DAY:
        raise PolicyError(f"`{written(start)}` is long ago: a policy begins after 1970")
    if exit_until is not None and (start is None or exit_until < start + 2 * _DAY):
        raise PolicyError("a window to leave begins at a date (`--from`) and ends two days after it or later")
    rules, tests = [], []
    elsewhere = "PT" if country != "PT" else "DE"
    closes = start
    if start is not None and exit_until is not None:
        closes = exit_until
        rules.append(_window(country, basis, start, exit_until))
        tests += _tests_of_window(country, elsewhere, start, exit_until)
    rules.append(_closed(country, basis, closes))
    tests += _tests_of_closed(country, elsewhere, closes, opened=start is not None and exit_until is None)
    head = (
        "# yaml-language-server: $schema=policy.v1.json\n"
        f"policy: {name}\n"
        f"title: {_text(f'{NAMES[country]}, no longer served')}\n"
        f"owner: {_text(owner)}\n"
    )
    return f"{head}rules:\n{''.join(rules)}tests:\n{''.join(tests)}"


def _window(code: str, basis: str, start: int, end: int) -> str:
    return (
        f"  - id: {code.lower()}-exit\n"
        "    limit: withdraw_only\n"
        f"{_WHO.format(code=code)}"
        "    reason: jurisdiction-exit\n"
        f"    basis: {_text(basis)}\n"
        f"    in_force: {{from: {written(start)}, until: {written(end)}}}\n"
        f"    message: You may withdraw what you hold until {written(end - _DAY)}.\n"
    )


def _closed(code: str, basis: str, start: int | None) -> str:
    return (
        f"  - id: {code.lower()}-closed\n"
        "    limit: support_only\n"
        f"{_WHO.format(code=code)}"
        "    reason: jurisdiction-blocked\n"
        f"    basis: {_text(basis)}\n" + (f"    in_force: {{from: {written(start)}}}\n" if start is not None else "")
    )


def _tests_of_window(code: str, elsewhere: str, start: int, end: int) -> list[str]:
    country, rule = NAMES[code], f"{code.lower()}-exit"
    here = f"country: {code}, residence: {code}"
    by = f"outcome: deny, by: [{rule}], reason: jurisdiction-exit"
    return [
        _test(f"The day before, {country} trades", here, "trade.spot", start - _DAY, "outcome: allow"),
        _test(
            f"In the window an address in {country} may not trade",
            f"country: {code}, residence: {elsewhere}", "trade.spot", start, by,
        ),
        _test(
            f"In the window a resident of {country} may not trade from elsewhere",
            f"country: {elsewhere}, residence: {code}", "trade.spot", start, by,
        ),
        _test(
            "In the window one may withdraw to the last day",
            here, "withdraw", end - _DAY, "outcome: allow, access: withdraw_only",
        ),
        _test(
            "After the window nobody trades, under the one rule that is left",
            here, "trade.spot", end, f"outcome: deny, by: [{code.lower()}-closed]",
        ),
    ]  # fmt: skip


def _tests_of_closed(code: str, elsewhere: str, at: int | None, *, opened: bool) -> list[str]:
    country, rule = NAMES[code], f"{code.lower()}-closed"
    by = f"outcome: deny, by: [{rule}], reason: jurisdiction-blocked"
    here = f"country: {code}, residence: {code}"
    before = [_test(f"The day before, {country} trades", here, "trade.spot", (at or 0) - _DAY, "outcome: allow")]
    return [
        *(before if opened else []),
        _test(
            f"An address in {country} may not withdraw once it is closed",
            f"country: {code}, residence: {elsewhere}", "withdraw", at, by,
        ),
        _test(
            f"A resident of {country} may not withdraw from elsewhere",
            f"country: {elsewhere}, residence: {code}", "withdraw", at, by,
        ),
        _test(
            "Support stays open to everybody", here, "support", at, "outcome: allow, access: support_only",
        ),
        _test(
            f"Who neither lives nor is in {country} is not concerned",
            f"country: {elsewhere}, residence: {elsewhere}", "withdraw", at, "outcome: allow",
        ),
    ]  # fmt: skip


def _test(name: str, facts: str, operation: str, at: int | None, expect: str) -> str:
    when = f"    at: {written(at)}\n" if at is not None else ""
    return (
        f"  - name: {_text(name)}\n"
        f"    facts: {{{facts}, status: open}}\n"
        f"    operation: {operation}\n"
        f"{when}"
        f"    expect: {{{expect}}}\n"
    )


def _text(text: str) -> str:
    """Return a text in double quotes, since it may hold anything."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
