"""Signatures of webhooks: as the specification has them, and as nobody else can make them."""

from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.webhooks import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    Secret,
    SecretFile,
    Unverified,
    Verified,
    signed_headers,
    verify,
)
from gateway.core.errors import ConfigError

# The example that the reference libraries of Standard Webhooks test themselves with.
SECRET = Secret.read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1_614_265_330
BODY = b'{"test": 2432232314}'
MADE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = Secret(bytes(range(32)))


def headers(**changes: str) -> dict[str, str]:
    known = {"id": ID, "at": TIMESTAMP, "signature": SIGNATURE}
    return {**signed_headers(MESSAGE, AT, BODY, [SECRET]), **{known[name]: value for name, value in changes.items()}}


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    assert signed_headers(MESSAGE, AT, BODY, [SECRET]) == {ID: MESSAGE, TIMESTAMP: str(AT), SIGNATURE: MADE}
    assert verify(headers(), BODY, [SECRET], AT) == Verified(MESSAGE, AT)


def test_the_answer_of_the_specification_to_rotation_is_a_signature_of_each_secret() -> None:
    both = signed_headers(MESSAGE, AT, BODY, [OTHER, SECRET])
    assert both[SIGNATURE].split(" ")[1] == MADE
    for secret in (OTHER, SECRET):
        assert verify(both, BODY, [secret], AT) == Verified(MESSAGE, AT)
    assert verify(headers(), BODY, [OTHER, SECRET], AT) == Verified(MESSAGE, AT), "and of either when receiving"


def test_signatures_of_other_versions_are_passed_over() -> None:
    assert verify(
        headers(signature=f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5B {MADE}"), BODY, [SECRET], AT
    ) == (Verified(MESSAGE, AT))
    assert isinstance(verify(headers(signature=MADE.replace("v1,", "v2,")), BODY, [SECRET], AT), Unverified)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"id": "msg_other"}, "no signature"),
        ({"at": str(AT + 1)}, "no signature"),
        ({"signature": ""}, "no signature"),
        ({"signature": "v1,"}, "no signature"),
        ({"signature": "v1,ü"}, "no signature"),
        ({"signature": MADE.removeprefix("v1,")}, "no signature"),
        ({"signature": MADE + "A"}, "no signature"),
        ({"signature": " ".join(["v1,AAAA"] * 16 + [MADE])}, "at most 16"),
        ({"id": "a.1"}, "no full stop"),
        ({"id": ""}, "visible"),
        ({"id": "x" * 129}, "128"),
        ({"at": "0"}, "seconds"),
        ({"at": "-5"}, "seconds"),
        ({"at": f"{AT}.0"}, "seconds"),
        ({"at": "١٢٣"}, "seconds"),
        ({"at": "9" * 40}, "seconds"),
    ],
)
def test_whatever_was_changed_on_the_way_is_not_believed(changed: dict[str, str], why: str) -> None:
    answer = verify(headers(**changed), BODY, [SECRET], AT)
    assert isinstance(answer, Unverified)
    assert why in answer.why


def test_neither_another_body_nor_another_secret_nor_none_will_do() -> None:
    assert isinstance(verify(headers(), BODY + b" ", [SECRET], AT), Unverified)
    assert isinstance(verify(headers(), BODY, [OTHER], AT), Unverified)
    assert isinstance(verify(headers(), BODY, [], AT), Unverified)


@pytest.mark.parametrize("missing", [ID, TIMESTAMP, SIGNATURE])
def test_each_header_is_needed(missing: str) -> None:
    left = {name: value for name, value in headers().items() if name != missing}
    assert isinstance(verify(left, BODY, [SECRET], AT), Unverified)


@pytest.mark.parametrize("away", [-301, 301, 10**9])
def test_an_old_or_early_one_is_not_believed_and_a_forged_one_learns_nothing_of_the_clock(away: int) -> None:
    stale = verify(headers(), BODY, [SECRET], AT + away)
    assert isinstance(stale, Unverified)
    assert "300 s" in stale.why
    forged = verify(headers(signature="v1,AAAA"), BODY, [SECRET], AT + away)
    assert isinstance(forged, Unverified)
    assert "300 s" not in forged.why
    for within in (-300, 300):
        assert verify(headers(), BODY, [SECRET], AT + within) == Verified(MESSAGE, AT)


@given(st.binary(max_size=64), st.binary(max_size=64), st.binary(min_size=24, max_size=64))
def test_a_signature_is_of_one_body(body: bytes, other: bytes, key: bytes) -> None:
    made = signed_headers(MESSAGE, AT, body, [Secret(key)])
    assert isinstance(verify(made, other, [Secret(key)], AT), Verified) is (body == other)


def test_what_could_be_mistaken_for_something_else_is_not_signed() -> None:
    for bad in ("", "a.b", "a b", "a\n", "ü"):
        with pytest.raises(ValueError, match="full stop"):
            signed_headers(bad, AT, BODY, [SECRET])
    with pytest.raises(ValueError, match="a secret"):
        signed_headers(MESSAGE, AT, BODY, [])


@pytest.mark.parametrize(
    "text",
    ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_short", "whsec_" + "A" * 400, "whsec_MfKQ9r8G*YqrTwj="],
)
def test_a_text_that_is_no_secret_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"secret|base64") as raised:
        Secret.read(text)
    assert not text or text not in str(raised.value)


def test_a_secret_is_not_printed() -> None:
    assert b64encode(SECRET.key).decode() not in repr(SECRET)
    assert repr(b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))[2:10] not in repr(SECRET)


def test_secrets_of_a_file_change_while_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    read = SecretFile(path)
    assert [secret.key for secret in read()] == [SECRET.key]
    path.write_text(f"whsec_{b64encode(OTHER.key).decode()}\r\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    assert [secret.key for secret in read()] == [OTHER.key, SECRET.key]
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        read()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"whsec_tooshort", b"a secret in plain text, of enough bytes", b"\xff" * 40, b"x" * 5000]
)
def test_a_file_without_secrets_stops_the_start_and_is_not_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="file of secrets") as raised:
        SecretFile(path)
    assert not content.strip() or content.decode("latin-1") not in str(raised.value)
    with pytest.raises(ConfigError, match="No such file"):
        SecretFile(tmp_path / "absent")
