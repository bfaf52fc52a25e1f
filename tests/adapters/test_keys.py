"""Where keys come from: taken whole or not at all, fetched off the path, at a bounded rate."""

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from gateway.adapters.jws import KeySet
from gateway.adapters.keys import MAX_DOCUMENT_BYTES, FixedKeys, RefreshedKeys, Unreachable, key_source
from gateway.core.errors import ConfigError

SECOND = 1_000_000
ALGORITHMS = ("EdDSA",)
PUBLIC = json.loads(OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key()))


class FakeClock:
    def __init__(self) -> None:
        self.at = 1_763_700_000 * SECOND

    def now(self) -> int:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


def document(*kids: str) -> bytes:
    return json.dumps({"keys": [{**PUBLIC, "kid": kid, "alg": "EdDSA"} for kid in kids]}).encode()


def kids(source: RefreshedKeys | FixedKeys, at: int) -> set[str | None] | None:
    keyset = source.current(at)
    return None if keyset is None else {key.kid for key in keyset.keys}


class Issuer:
    """A server of keys on this machine, which can be told to misbehave."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.headers: dict[str, str] = {}
        self.answer: Callable[[], Awaitable[web.StreamResponse]] = self.publish("one")

    @staticmethod
    def publish(*names: str) -> Callable[[], Awaitable[web.StreamResponse]]:
        async def answer() -> web.StreamResponse:
            return web.Response(body=document(*names))

        return answer

    @staticmethod
    def reply(status: int = 200, body: bytes = b"", **headers: str) -> Callable[[], Awaitable[web.StreamResponse]]:
        async def answer() -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=headers)

        return answer

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.headers = dict(request.headers)
        return await self.answer()


async def serve(issuer: Issuer, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    issuer.url = f"{'https' if tls else 'http'}://{host}:{port}/jwks.json"
    return runner


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    runner = await serve(issuer)
    yield issuer
    await runner.cleanup()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def events() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
async def opened() -> AsyncIterator[Callable[[RefreshedKeys | FixedKeys], Awaitable[Any]]]:
    """Start a source, and close it when the test is over."""
    sources: list[RefreshedKeys | FixedKeys] = []

    async def start(source: RefreshedKeys | FixedKeys) -> RefreshedKeys | FixedKeys:
        sources.append(source)
        if isinstance(source, RefreshedKeys) and source._wait_s == 1:
            source._wait_s = 30  # a busy machine is not what is tried here
        await source.start()
        return source

    yield start
    for source in sources:
        await source.close()


def at_url(issuer: Issuer, clock: FakeClock, **more: Any) -> RefreshedKeys:
    source = key_source(algorithms=ALGORITHMS, clock=clock, jwks=issuer.url, **more)
    assert isinstance(source, RefreshedKeys)
    return source


Opened = Callable[[RefreshedKeys | FixedKeys], Awaitable[Any]]


async def test_keys_are_fetched_at_the_start(issuer: Issuer, clock: FakeClock, opened: Opened) -> None:
    source = at_url(issuer, clock)
    assert kids(source, clock.now()) is None
    await opened(source)
    assert kids(source, clock.now()) == {"one"}
    assert source.generation == 1
    assert source.trouble is None
    assert issuer.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in issuer.headers


async def test_a_rotated_key_is_found_when_a_token_names_it(issuer: Issuer, clock: FakeClock, opened: Opened) -> None:
    source = await opened(at_url(issuer, clock))
    issuer.answer = issuer.publish("one", "two")
    await source.look_again()
    assert kids(source, clock.now()) == {"one", "two"}
    assert source.generation == 2


async def test_a_flood_of_unknown_keys_is_one_fetch_in_thirty_seconds(
    issuer: Issuer, clock: FakeClock, opened: Opened
) -> None:
    source = await opened(at_url(issuer, clock))
    for _ in range(3):
        await asyncio.gather(*(source.look_again() for _ in range(200)))
        clock.advance(29.9 / 3)
    assert issuer.asked == 2
    clock.advance(0.2)
    await asyncio.gather(*(source.look_again() for _ in range(200)))
    assert issuer.asked == 3


async def test_all_who_wait_share_one_fetch(issuer: Issuer, clock: FakeClock, opened: Opened) -> None:
    source = await opened(at_url(issuer, clock))
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.Response(body=document("two"))

    issuer.answer = slow
    first = asyncio.ensure_future(source.look_again())
    await asked.wait()
    late = [asyncio.ensure_future(source.look_again()) for _ in range(20)]
    await asyncio.sleep(0)
    assert kids(source, clock.now()) == {"one"}
    go_on.set()
    await asyncio.gather(first, *late)
    assert kids(source, clock.now()) == {"two"}
    assert issuer.asked == 2


async def test_nobody_waits_long_for_a_slow_issuer(clock: FakeClock, opened: Opened) -> None:
    never = asyncio.Event()

    async def origin() -> bytes:
        await never.wait()
        return b""

    source = RefreshedKeys(origin, lambda _: KeySet(), where="here", clock=clock, first=KeySet(), wait_s=0.01)
    await opened(source)
    await source.look_again()
    assert source.fetches == 1
    assert source.current(clock.now()) is not None


async def test_an_attempt_that_takes_too_long_is_given_up(clock: FakeClock, opened: Opened) -> None:
    never = asyncio.Event()

    async def origin() -> bytes:
        await never.wait()
        return b""

    source = RefreshedKeys(origin, lambda _: KeySet(), where="here", clock=clock, attempt_s=0.01)
    await opened(source)
    assert source.trouble == "here: no answer within 0.01 s"


async def test_the_set_is_fetched_again_without_being_asked(issuer: Issuer, clock: FakeClock, opened: Opened) -> None:
    again = asyncio.Event()

    async def answer() -> web.StreamResponse:
        if issuer.asked > 3:
            again.set()
        return web.Response(body=document("one"))

    issuer.answer = answer
    source = await opened(at_url(issuer, clock, refresh_s=0.01))
    await asyncio.wait_for(again.wait(), 10)
    assert source.generation == 1, "the same keys are not a new set: nothing that was verified needs verifying again"


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Issuer.reply(500), "answered 500"),
        (Issuer.reply(404), "answered 404"),
        (Issuer.reply(204), "answered 204"),
        (Issuer.reply(301, Location="http://127.0.0.1:1/"), "answered 301 (redirects are not followed: name the"),
        (Issuer.reply(200, b"<html>"), "not JSON: Expecting value at character 0; a JWKS document is expected"),
        (Issuer.reply(200, document("one", "two")[:-9]), "not JSON: "),
        (Issuer.reply(200, b'{"keys":[]}'), "a JWKS document has a list `keys` of 1 to 100 keys"),
        (Issuer.reply(200, b" " * (MAX_DOCUMENT_BYTES + 1)), "larger than 262144 bytes; that is no key set"),
        (Issuer.reply(200, b"\x1f\x8b\x08\x00", **{"Content-Encoding": "gzip"}), "not UTF-8; a JWKS document is expec"),
    ],
)
async def test_the_old_set_serves_while_the_new_one_cannot_be_had(
    issuer: Issuer, clock: FakeClock, opened: Opened, events: list[Any], answer: Any, trouble: str
) -> None:
    source = await opened(at_url(issuer, clock))
    issuer.answer = answer
    await source.look_again()
    assert kids(source, clock.now()) == {"one"}
    assert source.generation == 1
    assert source.trouble.startswith(f"[identity] jwks {issuer.url}: {trouble}")
    assert [event["event"] for event in events] == ["keys:changed", "keys:fetch_failed"]
    issuer.answer = issuer.publish("two")
    clock.advance(31)
    await source.look_again()
    assert kids(source, clock.now()) == {"two"}
    assert source.trouble is None


async def test_a_set_that_cannot_be_renewed_ends(issuer: Issuer, clock: FakeClock, opened: Opened) -> None:
    source = await opened(at_url(issuer, clock, max_stale_s=3600))
    fetched = clock.now()
    issuer.answer = issuer.reply(503)
    clock.advance(3600)
    await source.look_again()
    assert source.good_until == fetched + 3600 * SECOND
    assert kids(source, clock.now()) == {"one"}
    clock.at += 1
    assert source.current(clock.now()) is None
    issuer.answer = issuer.publish("one")
    clock.advance(5)
    await source.look_again()
    assert kids(source, clock.now()) == {"one"}
    assert source.generation == 1


async def test_without_any_set_an_outage_is_asked_about_every_five_seconds(
    issuer: Issuer, clock: FakeClock, opened: Opened
) -> None:
    issuer.answer = issuer.reply(503)
    source = await opened(at_url(issuer, clock))
    assert source.current(clock.now()) is None
    assert source.notes == ()
    for _ in range(10):
        await source.look_again()
    assert issuer.asked == 2
    clock.advance(5)
    issuer.answer = issuer.publish("one")
    await source.look_again()
    assert issuer.asked == 3
    assert kids(source, clock.now()) == {"one"}


async def test_an_outage_is_noticed_to_be_over_without_anybody_asking(clock: FakeClock, opened: Opened) -> None:
    answers = iter([Unreachable("here: gone"), OSError("boom"), document("one"), Unreachable("here: gone")])
    read_twice = asyncio.Event()
    last = iter([None, None])

    async def origin() -> bytes:
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        if answer is None and next(last, read_twice) is read_twice:
            read_twice.set()
        return answer or document("two")

    source = RefreshedKeys(
        origin,
        lambda text: KeySet((), (), text.decode()),
        where="here",
        clock=clock,
        retry_s=0.001,
        look_again_s=0.001,
        refresh_s=0.002,
    )
    await opened(source)
    await asyncio.wait_for(read_twice.wait(), 10)
    await source.close()
    keyset = source.current(clock.now())
    assert keyset is not None
    assert keyset.fingerprint == document("two").decode()
    assert source.generation == 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_an_issuer_that_cannot_answer_now_does_not_stop_the_start(
    issuer: Issuer, clock: FakeClock, opened: Opened, status: int
) -> None:
    issuer.answer = issuer.reply(status)
    source = await opened(at_url(issuer, clock))
    assert source.trouble == f"[identity] jwks {issuer.url}: answered {status}"


async def test_an_issuer_that_is_not_there_does_not_stop_the_start(clock: FakeClock, opened: Opened) -> None:
    gone = Issuer()
    await (await serve(gone)).cleanup()
    source = await opened(at_url(gone, clock))
    assert source.trouble.startswith(f"[identity] jwks {gone.url}: Cannot connect to host 127.0.0.1")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Issuer.reply(404), "answered 404"),
        (Issuer.reply(401), "answered 401"),
        (Issuer.reply(302, Location="/elsewhere"), "answered 302"),
        (Issuer.reply(200, b"{}"), "a JWKS document has a list `keys`"),
        (Issuer.reply(200, b" " * (MAX_DOCUMENT_BYTES + 1)), "larger than"),
    ],
)
async def test_an_answer_that_can_never_become_keys_stops_the_start(
    issuer: Issuer, clock: FakeClock, answer: Any, why: str
) -> None:
    issuer.answer = answer
    source = at_url(issuer, clock)
    with pytest.raises(ConfigError) as caught:
        await source.start()
    assert str(caught.value).startswith(f"[identity] jwks {issuer.url}: {why}")
    await source.close()


async def test_redirects_are_not_followed(issuer: Issuer, clock: FakeClock) -> None:
    issuer.answer = issuer.reply(307, Location=issuer.url)
    with pytest.raises(ConfigError, match="redirects are not followed"):
        await at_url(issuer, clock).start()
    assert issuer.asked == 1


async def test_a_fault_in_reading_leaves_the_old_set_and_goes_on(clock: FakeClock, opened: Opened) -> None:
    async def origin() -> bytes:
        return b""

    def read(_: bytes) -> KeySet:
        raise RuntimeError("a fault with a secret in it")

    source = RefreshedKeys(origin, read, where="here", clock=clock, first=KeySet())
    await opened(source)
    for _ in range(2):
        clock.advance(31)
        await source.look_again()
    assert source.trouble == "here: RuntimeError"
    assert source.fetches == 2
    assert source.current(clock.now()) is not None


def test_a_source_that_was_closed_can_be_started_in_another_loop(clock: FakeClock) -> None:
    texts = [document("one"), document("two"), document("three")]
    hanging = asyncio.Event()

    async def origin() -> bytes:
        if not texts:
            hanging.set()
            await asyncio.Event().wait()
        return texts.pop(0)

    source = RefreshedKeys(
        origin, lambda text: KeySet((), (), text.decode()), where="here", clock=clock, look_again_s=0, wait_s=5
    )

    async def once(*, hang: bool) -> None:
        await source.start()
        await source.look_again()
        if hang:
            waiting = asyncio.ensure_future(source.look_again())
            await hanging.wait()
            await source.close()
            await waiting
        await source.close()

    asyncio.run(once(hang=False))
    assert source.generation == 2
    asyncio.run(once(hang=True))
    assert source.generation == 3
    texts.append(document("four"))
    asyncio.run(once(hang=False))
    assert source.generation == 4


async def test_closing_ends_all_that_is_under_way(issuer: Issuer, clock: FakeClock) -> None:
    before = asyncio.all_tasks()
    source = at_url(issuer, clock)
    await source.start()
    await source.start()
    assert issuer.asked == 1, "starting twice is starting once"
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang() -> web.StreamResponse:
        asked.set()
        await never.wait()
        return web.Response()

    issuer.answer = hang
    waiting = asyncio.ensure_future(source.look_again())
    await asked.wait()
    await source.close()
    await source.close()
    await asyncio.wait_for(waiting, 1)
    assert kids(source, clock.now()) == {"one"}
    await source.look_again()
    assert [task for task in asyncio.all_tasks() - before if "gateway keys" in task.get_name()] == []
    never.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, which no authority has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer of tests")])
    today = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today.replace(year=2120))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "issuer.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


async def test_keys_come_only_from_an_issuer_that_proves_its_name(
    clock: FakeClock, opened: Opened, certificate: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    issuer = Issuer()
    runner = await serve(issuer, tls)
    try:
        doubtful = await opened(at_url(issuer, clock))
        assert doubtful.current(clock.now()) is None
        assert "certificate verify failed" in doubtful.trouble.lower()
        assert issuer.asked == 0
        trusted = await opened(at_url(issuer, clock, tls=ssl.create_default_context(cafile=str(certificate))))
        assert kids(trusted, clock.now()) == {"one"}
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://auth.example/jwks.json", "keys fetched over plain http can be swapped on the way; use https"),
        ("http://10.0.0.1/jwks.json", "keys fetched over plain http can be swapped on the way; use https"),
        ("http://localhost.example/", "keys fetched over plain http can be swapped on the way; use https"),
        ("ftp://auth.example/jwks.json", "expected https://HOST/PATH, or the name of a file"),
        ("file:///etc/passwd", "expected https://HOST/PATH, or the name of a file"),
        ("https:///jwks.json", "expected https://HOST/PATH, or the name of a file"),
        ("https://auth.example/jwks.json#keys", "expected https://HOST/PATH, or the name of a file"),
        ("https://auth.example:port/jwks.json", "Port could not be cast to integer value as 'port'"),
        ("https://[::1/jwks.json", "Invalid IPv6 URL"),
    ],
)
def test_a_url_that_keys_must_not_come_from_stops_the_start(clock: FakeClock, url: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        key_source(algorithms=ALGORITHMS, clock=clock, jwks=url)
    assert str(caught.value) == f"[identity] jwks {url!r}: {why}"


def test_a_password_in_a_url_is_refused_and_not_repeated(clock: FakeClock) -> None:
    with pytest.raises(ConfigError) as caught:
        key_source(algorithms=ALGORITHMS, clock=clock, jwks="https://us:hunter2@auth.example/jwks.json?token=hunter2")
    assert "hunter2" not in str(caught.value)
    assert str(caught.value) == "[identity] jwks: the URL holds a password; keys are public, leave it out"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_plain_http_is_for_this_machine(clock: FakeClock, host: str) -> None:
    assert key_source(algorithms=ALGORITHMS, clock=clock, jwks=f"http://{host}:8080/jwks?secret=1").generation == 0


def test_a_secret_is_never_fetched(clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="HS256 needs a secret, and a secret is not fetched; use secret_file"):
        key_source(algorithms=("HS256",), clock=clock, jwks="https://auth.example/jwks.json")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "none"),
        ({"jwks": ""}, "none"),
        ({"jwks": "keys.json", "secret": b"s" * 32}, "jwks and secret"),
        ({"jwks": "keys.json", "secret_file": Path("s")}, "jwks and secret_file"),
    ],
)
def test_keys_come_from_exactly_one_place(clock: FakeClock, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        key_source(algorithms=ALGORITHMS, clock=clock, **given)
    assert str(caught.value) == f"[identity]: exactly one of jwks, secret and secret_file is needed, not {told}"


async def test_a_file_is_read_at_once_and_again_when_it_changes(
    tmp_path: Path, clock: FakeClock, opened: Opened
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(document("one"))
    source = key_source(algorithms=ALGORITHMS, clock=clock, jwks=str(path))
    assert kids(source, clock.now()) == {"one"}
    assert source.generation == 0
    await opened(source)
    path.write_bytes(document("two"))
    await source.look_again()
    assert kids(source, clock.now()) == {"two"}
    assert source.generation == 1


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(document("two")[:40]), "not JSON"),
        (lambda path: path.write_bytes(b" " * (MAX_DOCUMENT_BYTES + 1)), "larger than 262144 bytes"),
        (lambda path: path.unlink(), "No such file or directory"),
    ],
)
async def test_a_file_that_is_spoiled_changes_nothing(
    tmp_path: Path, clock: FakeClock, opened: Opened, spoil: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(document("one"))
    source = await opened(key_source(algorithms=ALGORITHMS, clock=clock, jwks=str(path)))
    spoil(path)
    await source.look_again()
    assert kids(source, clock.now()) == {"one"}
    assert source.trouble.startswith(f"[identity] jwks {path}: {why}")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: path.write_bytes(b"no keys"), "not JSON: Expecting value at character 0; a JWKS document is exp"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_a_file_without_keys_stops_the_start(
    tmp_path: Path, clock: FakeClock, make: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "jwks.json"
    make(path)
    with pytest.raises(ConfigError) as caught:
        key_source(algorithms=ALGORITHMS, clock=clock, jwks=str(path))
    assert str(caught.value).startswith(f"[identity] jwks {path}: {why}")


async def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path, clock: FakeClock, opened: Opened) -> None:
    path = tmp_path / "secret"
    path.write_text("the first secret of thirty-two bytes or more\n")
    source = await opened(key_source(algorithms=("HS256",), clock=clock, secret_file=path))
    path.write_text("too short")
    await source.look_again()
    assert source.generation == 0
    assert source.trouble == f"[identity] secret_file {path}: a secret of 9 bytes; HS256 needs 32 or more"
    path.write_text("the second secret of thirty-two bytes or more")
    clock.advance(31)
    await source.look_again()
    assert source.generation == 1
    assert source.trouble is None


async def test_a_secret_in_the_configuration_never_changes(clock: FakeClock, opened: Opened) -> None:
    source = await opened(key_source(algorithms=("HS256",), clock=clock, secret=b"s" * 32))
    await source.look_again()
    assert source.generation == 0
    assert source.good_until is None
    assert kids(source, clock.now()) == {None}


async def test_before_the_start_nothing_is_looked_for(issuer: Issuer, clock: FakeClock) -> None:
    source = at_url(issuer, clock)
    await source.look_again()
    assert issuer.asked == 0
    assert source.current(clock.now()) is None
