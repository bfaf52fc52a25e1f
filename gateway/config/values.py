"""Values as operators write them. Each function returns the checked value, or raises ValueError in plain words.

A number alone does not say what it counts, so a duration names its unit (`30s`, `20ms`, `35d`, `5y`).
"""

import re
from collections.abc import Mapping, Sized
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from gateway.core.addresses import Networks
from gateway.core.errors import ConfigError
from gateway.core.terms import Operation

Several = TypeVar("Several", bound=Sized)
_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "y": 365 * 86_400_000}
_SIZE = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_NUMBER_AND_UNIT = re.compile(r"(\d{1,15})\s?([A-Za-z]*)", re.ASCII)
_SECRET = re.compile(r"secret|token|password|key|sas", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, section 5.6.2
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def meant(word: str, candidates: Any) -> str:  # noqa: ANN401 - any iterable of text; enumerations are one
    """Return `: did you mean ...?` for the candidate nearest to `word`, or nothing where none is near."""
    names = {str(candidate).casefold(): str(candidate) for candidate in candidates}
    close = get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return f": did you mean `{names[close[0]]}`?" if close else ""


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and (found := _NUMBER_AND_UNIT.fullmatch(value.strip())):
        number, unit = found.groups()
        if unit in _DURATION_MS:
            return int(number) * _DURATION_MS[unit]
        if not unit:
            raise ValueError(f"a duration needs its unit: did you mean `{number}s`?")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'a duration needs its unit: did you mean `"{value}s"`?')
    raise ValueError("not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`")


def seconds(value: object) -> int:
    """Return how many seconds a duration is, where it is whole ones."""
    milliseconds = _milliseconds(value)
    if milliseconds % 1000:
        raise ValueError("must be whole seconds")
    return milliseconds // 1000


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _NUMBER_AND_UNIT.fullmatch(value.strip())):
        number, unit = found.groups()
        if unit in _SIZE:
            return int(number) * _SIZE[unit]
        raise ValueError(f"unknown unit of size `{unit}`{meant(unit, ['KiB', 'MiB', 'GiB'])}")
    raise ValueError("not a size; write bytes, or a whole number and KiB, MiB or GiB, such as `64MiB`")


def _whole(value: object) -> object:
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic turns ValueError alone into a finding
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[int, BeforeValidator(seconds)]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds)]
Size = Annotated[int, BeforeValidator(_size)]


def some(value: Several) -> Several:
    """Return `value` where it names anything."""
    if not value:
        raise ValueError("is empty; name at least one")
    return value


def network(value: str) -> str:
    """Return `value` where it is one network or address in plain notation."""
    try:
        Networks([value], what="network")
    except ConfigError as fault:
        raise ValueError(str(fault).removeprefix("network: ")) from None
    return value


def network_name(value: str) -> str:
    """Return `value` where policies can name it, as in `"hosting" in network`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", value):
        raise ValueError(f"`{value[:32]}` is not a name for a kind of network; write small letters, digits and `_`")
    return value


def header_name(value: str) -> str:
    """Return `value` where it can be the name of a header."""
    if not _TOKEN.fullmatch(value) or len(value) > 64:
        raise ValueError("not a header name; write one name without spaces or colons, such as `X-Forwarded-For`")
    return value


def cookie_name(value: str) -> str:
    """Return `value` where it can be the name of a cookie."""
    if not _TOKEN.fullmatch(value) or len(value) > 64:
        raise ValueError("not a cookie name; write one name, such as `__Host-session`")
    return value


def operation(value: str) -> str:
    """Return `value` where it is an operation."""
    if value not in tuple(Operation):
        raise ValueError(f"unknown operation `{value[:32]}`{meant(value, Operation)}")
    return value


def host_name(value: str) -> str:
    """Return `value` in lower case, where it is a host without a port."""
    lowered = value.lower()
    if not _HOST.fullmatch(lowered):
        raise ValueError(f"`{value[:64]}` is not a host; write the name alone, without scheme, port or `*`")
    return lowered


def origin(value: str) -> str:
    """Return `value` without a trailing slash, where it is http(s)://host[:port] and nothing more."""
    parts = _web_address(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry credentials; the upstream trusts the gateway by network, not by password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and port alone: the path of each request is passed on as it came")
    return f"{parts.scheme}://{parts.netloc}"


def link(value: str) -> str:
    """Return `value` where a visitor can follow it: an https, http or mailto address."""
    if value.lower().startswith("mailto:") and "@" in value and not re.search(r"[\s<>\"]", value):
        return value
    _web_address(value)
    return value


def key_set_address(value: str) -> str:
    """Return `value`, the address of a JWKS: https, or http on this machine alone."""
    if _without_credentials(value):
        raise ValueError("keys fetched over http can be replaced on the way: did you mean `https://`?")
    return value


def called_address(value: str) -> str:
    """Return `value`, an address that something is posted to: https, or http on this machine alone."""
    if _without_credentials(value):
        raise ValueError("what is posted over http can be read and changed on the way: did you mean `https://`?")
    return value


def stamping_address(value: str) -> str:
    """Return `value`, the address of a time-stamping authority: http is enough, since it signs what it answers."""
    _without_credentials(value)
    return value


def collector_address(value: str) -> str:
    """Return `value`, where spans are posted to: a whole URL. Whether http is enough depends on what goes with them."""
    _without_credentials(value)
    if not urlsplit(value).path.strip("/"):
        raise ValueError(f"names no path; collectors take spans at `{value.rstrip('/')}/v1/traces`")
    return value


def is_called_safely(value: str) -> bool:
    """Return whether what is posted to this URL crosses no network in the clear."""
    return not _without_credentials(value)


def _without_credentials(value: str) -> bool:
    """Return whether `value`, a URL, leads over plain http to another machine."""
    parts = _web_address(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry credentials")
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


def broker(value: str) -> str:
    """Return `value` where it is the host and port of a server, such as `kafka-1.example:9093`."""
    host, _, port = value.rpartition(":")
    if not _HOST.fullmatch(host.lower()) or not re.fullmatch(r"[1-9]\d{0,4}", port, re.ASCII) or int(port) > 65_535:
        raise ValueError(f"`{value[:64]}` is not a server; write host and port, such as `kafka-1.example:9093`")
    return value


def _web_address(value: str) -> Any:  # noqa: ANN401 - urllib's SplitResult, whose properties are what we need
    if re.search(r"[\s<>\"\\^`{|}\x00-\x1f\x7f]", value) or not value.isascii():
        raise ValueError("not a URL: it has characters that no URL has")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("not a URL: its host or port cannot be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not a URL; write it whole, such as `https://host.example`")
    return parts


def under_base(path: str, info: ValidationInfo) -> str:
    """Return `path` as seen from the folder of the configuration file; as it is where there is no file."""
    base: Path | None = info.context["base"] if info.context else None
    return path if base is None else str(base / Path(path).expanduser())


def _located(value: Path, info: ValidationInfo) -> Path:
    return Path(under_base(str(value), info))


Located = Annotated[Path, AfterValidator(_located)]
Network = Annotated[str, AfterValidator(network)]
HeaderName = Annotated[str, AfterValidator(header_name)]
CookieName = Annotated[str, AfterValidator(cookie_name)]
OperationName = Annotated[str, AfterValidator(operation)]
HostName = Annotated[str, AfterValidator(host_name)]
Origin = Annotated[str, AfterValidator(origin)]
Link = Annotated[str, AfterValidator(link)]
CalledAddress = Annotated[str, AfterValidator(called_address)]
CollectorAddress = Annotated[str, AfterValidator(collector_address)]
Broker = Annotated[str, AfterValidator(broker)]
StampingAddress = Annotated[str, AfterValidator(stamping_address)]


def no_secrets(options: Mapping[str, str]) -> Mapping[str, str]:
    """Return the options of a place, where none of them has the name of a secret."""
    for name in options:
        if _SECRET.search(name):
            raise ValueError(f"`{name[:64]}` may be a secret; put it into the file that `credentials_file` names")
    return options
