"""Values are read as operators write them, and what could be misread is refused with what was probably meant."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from gateway.config import values


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value)


def why_not(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    return str(caught.value.errors()[0]["msg"]).removeprefix("Value error, ")


def checked(function: Any) -> Any:
    return Annotated[str, AfterValidator(function)]


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (values.Seconds, "30s", 30),
        (values.Seconds, "5 m", 300),
        (values.Seconds, "72h", 259_200),
        (values.Seconds, "35d", 3_024_000),
        (values.Seconds, "5y", 157_680_000),
        (values.Seconds, "2000ms", 2),
        (values.Seconds, " 0s ", 0),
        (values.Milliseconds, "20ms", 20),
        (values.Milliseconds, "1s", 1000),
        (values.Size, "64MiB", 67_108_864),
        (values.Size, "1 GiB", 1_073_741_824),
        (values.Size, "4KiB", 4096),
        (values.Size, "100B", 100),
        (values.Size, "32768", 32_768),
        (values.Size, 32_768, 32_768),
    ],
)
def test_durations_and_sizes_count_in_the_unit_they_name(kind: Any, text: object, number: int) -> None:
    assert read(kind, text) == number


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (values.Seconds, "30", "a duration needs its unit: did you mean `30s`?"),
        (values.Seconds, 30, 'a duration needs its unit: did you mean `"30s"`?'),
        (values.Milliseconds, 20.0, 'a duration needs its unit: did you mean `"20.0s"`?'),
        (values.Seconds, "500ms", "must be whole seconds"),
        (values.Seconds, "5 minutes", "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Seconds, "-5s", "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Seconds, "1.5h", "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Seconds, "٣s", "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Seconds, True, "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Seconds, None, "not a duration; write a whole number and ms, s, m, h, d or y, such as `30s`"),
        (values.Size, "64MB", "unknown unit of size `MB`: did you mean `MiB`?"),
        (values.Size, "1 fathom", "unknown unit of size `fathom`"),
        (values.Size, -1, "not a size; write bytes, or a whole number and KiB, MiB or GiB, such as `64MiB`"),
        (values.Size, True, "not a size; write bytes, or a whole number and KiB, MiB or GiB, such as `64MiB`"),
        (values.Size, "big", "not a size; write bytes, or a whole number and KiB, MiB or GiB, such as `64MiB`"),
        (values.Whole, True, "must be a whole number"),
        (values.Whole, 2.0, "must be a whole number"),
    ],
)
def test_a_number_that_could_be_misread_is_refused(kind: Any, value: object, why: str) -> None:
    assert why_not(kind, value) == why


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_longer_unit_never_means_less(number: int, unit: str) -> None:
    assert read(values.Milliseconds, f"{number}{unit}") >= number


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.0.0.1", "fd00::/8", "::1"])
def test_networks_are_taken_as_written(network: str) -> None:
    assert read(values.Network, network) == network


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("0.0.0.0/0", "`0.0.0.0/0` is every address there is; name the networks that are meant"),
        ("::/0", "`::/0` is every address there is; name the networks that are meant"),
        ("*", "`*` is not a network: a pattern cannot say who is meant; write networks, such as `10.0.0.0/8`"),
        ("10.0.0.1/8", "did you mean `10.0.0.0/8`"),
        ("proxy.internal", "names are not looked up"),
    ],
)
def test_a_network_that_cannot_be_meant_is_refused(network: str, why: str) -> None:
    assert why in why_not(values.Network, network)
    assert not why_not(values.Network, network).startswith("network:")


NOT_A_HEADER = "not a header name; write one name without spaces or colons, such as `X-Forwarded-For`"
NOT_A_COOKIE = "not a cookie name; write one name, such as `__Host-session`"
URL_CHARACTERS = "not a URL: it has characters that no URL has"
NOT_WHOLE = "not a URL; write it whole, such as `https://host.example`"
WITH_PATH = "must be scheme, host and port alone: the path of each request is passed on as it came"
NO_PASSWORD = "must not carry credentials; the upstream trusts the gateway by network, not by password"


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (values.HeaderName, "X-Forwarded-For", "X-Forwarded-For"),
        (values.CookieName, "__Host-session", "__Host-session"),
        (values.HostName, "API.Example", "api.example"),
        (values.HostName, "[2001:db8::1]", "[2001:db8::1]"),
        (values.Origin, "http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        (values.Origin, "https://app.internal/", "https://app.internal"),
        (values.Link, "https://help.example/appeal?from=gateway", "https://help.example/appeal?from=gateway"),
        (values.Link, "mailto:help@exchange.example", "mailto:help@exchange.example"),
        (checked(values.key_set_address), "https://auth.example/jwks.json", "https://auth.example/jwks.json"),
        (checked(values.key_set_address), "http://127.0.0.1:8000/jwks", "http://127.0.0.1:8000/jwks"),
        (checked(values.key_set_address), "http://[::1]/jwks", "http://[::1]/jwks"),
        (checked(values.network_name), "data_center_2", "data_center_2"),
    ],
)
def test_names_and_addresses_that_can_work_are_taken(kind: Any, value: str, result: str) -> None:
    assert read(kind, value) == result


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (values.HeaderName, "X-Forwarded-For:", NOT_A_HEADER),
        (values.HeaderName, "", NOT_A_HEADER),
        (values.HeaderName, "X" * 65, NOT_A_HEADER),
        (values.CookieName, "a=b", NOT_A_COOKIE),
        (values.CookieName, "c" * 65, NOT_A_COOKIE),
        (values.HostName, "*.example", "`*.example` is not a host; write the name alone, without scheme, port or `*`"),
        (values.HostName, "a:80", "`a:80` is not a host; write the name alone, without scheme, port or `*`"),
        (values.Origin, "127.0.0.1:9000", NOT_WHOLE),
        (values.Origin, "ftp://host", NOT_WHOLE),
        (values.Origin, "http://", NOT_WHOLE),
        (values.Origin, "http://host/api", WITH_PATH),
        (values.Origin, "http://host?x", WITH_PATH),
        (values.Origin, "http://host#x", WITH_PATH),
        (values.Origin, "http://user@host", NO_PASSWORD),
        (values.Origin, "http://:secret@host", NO_PASSWORD),
        (values.Origin, "http://host\\@other", URL_CHARACTERS),
        (values.Origin, "http://hö.example", URL_CHARACTERS),
        (values.Origin, "http://host:99999", "not a URL: its host or port cannot be read"),
        (values.Origin, "http://[::1", "not a URL: its host or port cannot be read"),
        (values.Link, "javascript:alert(1)", NOT_WHOLE),
        (values.Link, "mailto:<a@b>", URL_CHARACTERS),
        (values.Link, "mailto:nobody", NOT_WHOLE),
        (
            checked(values.key_set_address),
            "http://auth.example/jwks",
            "keys fetched over http can be replaced on the way: did you mean `https://`?",
        ),
        (checked(values.key_set_address), "https://u:p@auth.example", "must not carry credentials"),
        (
            checked(values.network_name),
            "Data-Center",
            "`Data-Center` is not a name for a kind of network; write small letters, digits and `_`",
        ),
    ],
)
def test_names_and_addresses_that_cannot_work_are_refused(kind: Any, value: str, why: str) -> None:
    assert why_not(kind, value) == why


@given(st.text(max_size=60))
def test_an_origin_is_never_more_than_scheme_host_and_port(text: str) -> None:
    try:
        origin = values.origin(text)
    except ValueError:
        return
    scheme, _, rest = origin.partition("://")
    assert scheme in {"http", "https"}
    assert rest
    assert not set(rest) & set("/?#@\\ ")


@pytest.mark.parametrize(
    ("word", "candidates", "guess"),
    [
        ("headr", ["header", "secret"], ": did you mean `header`?"),
        ("GET ", ["GET"], ": did you mean `GET`?"),
        ("get", ["GET", "PUT"], ": did you mean `GET`?"),
        ("zebra", ["header", "secret"], ""),
        ("anything", [], ""),
    ],
)
def test_a_guess_is_made_only_where_something_is_near(word: str, candidates: list[str], guess: str) -> None:
    assert values.meant(word, candidates) == guess


@pytest.mark.parametrize(
    ("written", "base", "found"),
    [
        ("var/x", Path("/etc/gateway"), Path("/etc/gateway/var/x")),
        ("/srv/x", Path("/etc/gateway"), Path("/srv/x")),
        ("var/x", None, Path("var/x")),
    ],
)
def test_a_relative_path_is_seen_from_the_folder_of_the_file(written: str, base: Path | None, found: Path) -> None:
    class Holder(BaseModel):
        path: values.Located

    context = None if base is None else {"base": base}
    assert Holder.model_validate({"path": written}, context=context).path == found
