"""One receiver: what it is sent, what it may answer, and where it may not be."""

import asyncio
import datetime as dt
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.adapters.webhook_target import Tried, Waits, WebhookTarget
from gateway.adapters.webhooks import Secret, Verified, verify
from gateway.core.errors import ConfigError
from tests.adapters.sinks.rig import Answer, Taken, accept, answers, service

AT = 1_763_700_000
SECRET = Secret(bytes(range(32)))
BODY = b'{"type":"hold.placed"}'


def target(url: str, **more: Any) -> WebhookTarget:
    return WebhookTarget("exchange", url, lambda: (SECRET,), **{"allow_private": True, **more})


async def tried(answer: Answer, taken: list[Taken] | None = None, **more: Any) -> Tried:
    async with service(answer, [] if taken is None else taken) as url:
        one = target(url, **more)
        try:
            return await one.send("msg_1", AT, BODY)
        finally:
            await one.close()


class Names(AbstractResolver):
    """Resolves each name as it is told, one answer after the other."""

    def __init__(self, *addresses: str) -> None:
        self.left = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_a_message_arrives_as_it_is_with_a_signature_that_its_receiver_can_check() -> None:
    taken: list[Taken] = []
    assert await tried(accept, taken) == Tried(ok=True)
    (one,) = taken
    assert one.body == BODY
    assert one.headers["Content-Type"] == "application/json"
    headers = {name.lower(): value for name, value in one.headers.items()}
    assert verify(headers, one.body, [SECRET], AT) == Verified("msg_1", AT)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_delivery(status: int) -> None:
    assert (await tried(answers(status))).ok


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
async def test_any_other_answer_is_a_failure_that_says_its_status(status: int) -> None:
    result = await tried(answers(status))
    assert (result.ok, result.gone) == (False, False)
    assert f"answered {status}" in result.why


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async def elsewhere(request: web.Request, one: Taken) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    taken: list[Taken] = []
    result = await tried(elsewhere, taken)
    assert result.why == f"answered {status}; redirects are not followed: name the final address"
    assert len(taken) == 1


async def test_who_wants_nothing_any_more_says_410() -> None:
    assert (await tried(answers(410))).gone


async def test_a_receiver_may_ask_to_be_left_alone() -> None:
    assert (await tried(answers(503, **{"Retry-After": "120"}))).retry_after_s == 120
    assert (await tried(answers(503, **{"Retry-After": "999999"}))).retry_after_s == 3600


async def test_what_is_said_of_a_failure_is_one_short_line() -> None:
    async def wordy(request: web.Request, one: Taken) -> web.Response:
        return web.Response(status=400, text="no such\naccount\x1b[31m " + "x" * 900)

    result = await tried(wordy)
    assert result.why.startswith("answered 400, 'no such account\\x1b[31m xxx")
    assert len(result.why) < 200


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def endless(request: web.Request, one: Taken) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(bytes(4096))
                sent += 1
        except ConnectionError:
            pass
        return response

    result = await tried(endless)
    assert result.why.startswith("answered 500")
    assert sent < 10_000


async def test_a_receiver_that_never_answers_is_left_in_time() -> None:
    over = asyncio.Event()

    async def silent(request: web.Request, one: Taken) -> web.Response:
        await asyncio.wait_for(over.wait(), 30)
        return web.Response()

    began = time.monotonic()
    async with service(silent, []) as url:
        one = target(url, waits=Waits(connect=1, read=0.2, total=1))
        assert "no answer" in (await one.send("msg_1", AT, BODY)).why
        await one.close()
        over.set()
    assert time.monotonic() - began < 20


async def test_a_receiver_that_is_away_or_hangs_up_is_a_failure_and_no_path_is_told() -> None:
    assert not (await tried(answers(None))).ok
    async with service(accept, []) as url:
        gone = url.replace("/logs", "/of-a-secret-path")
    one = target(gone)
    result = await one.send("msg_1", AT, BODY)
    await one.close()
    assert not result.ok
    assert result.why
    assert "secret" not in result.why


async def test_a_name_that_leads_into_the_own_network_is_not_followed_there() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        one = target("https://hooks.example/x", allow_private=False, resolver=Names(address))
        result = await one.send("msg_1", AT, BODY)
        await one.close()
        assert result.why.startswith(f"nothing is sent to {address}: ")


async def test_a_name_that_changes_between_two_looks_gains_nothing() -> None:
    """DNS rebinding: allowed for one connection, it is asked again for the next."""
    taken: list[Taken] = []

    async def hang_up_after(request: web.Request, one: Taken) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    async with service(hang_up_after, taken) as url:
        port = url.rpartition(":")[2].partition("/")[0]
        one = target(f"http://hooks.example:{port}/x", resolver=Names("127.0.0.1", "169.254.169.254"))
        assert (await one.send("msg_1", AT, BODY)).ok
        assert taken[0].headers["Host"] == f"hooks.example:{port}"
        assert "a metadata service" in (await one.send("msg_2", AT, BODY)).why
        await one.close()
    assert len(taken) == 1


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
async def test_plain_http_does_not_leave_the_own_network_by_a_name(scheme: str) -> None:
    one = target(f"{scheme}://hooks.example/x", resolver=Names("81.20.30.40"))
    result = await one.send("msg_1", AT, BODY)
    await one.close()
    assert "it is public" in result.why


async def test_the_system_itself_is_not_asked_where_a_proxy_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await tried(accept)).ok


async def test_secrets_are_asked_for_each_try_and_their_loss_is_a_failure() -> None:
    now: list[Secret] = [SECRET]

    def secrets() -> tuple[Secret, ...]:
        if not now:
            raise OSError("the file of secrets x: No such file or directory")
        return tuple(now)

    taken: list[Taken] = []
    async with service(accept, taken) as url:
        one = WebhookTarget("exchange", url, secrets, allow_private=True)
        await one.send("msg_1", AT, BODY)
        now.insert(0, Secret(bytes(32)))
        await one.send("msg_1", AT, BODY)
        now.clear()
        result = await one.send("msg_1", AT, BODY)
        await one.close()
    assert [len(request.headers["webhook-signature"].split()) for request in taken] == [1, 2]
    assert result == Tried(ok=False, why="the file of secrets x: No such file or directory")


def test_a_target_gets_the_types_that_it_wants() -> None:
    assert target("https://hooks.example/").wants("hold.placed")
    assert target("https://hooks.example/", types=["hold.placed"]).wants("hold.placed")
    assert not target("https://hooks.example/", types=["hold.placed"]).wants("notice")
    with pytest.raises(ConfigError, match="exchange: over plain http"):
        target("http://hooks.example/", allow_private=False)


@asynccontextmanager
async def encrypted(folder: Path, host: str) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """Serve over TLS as `host`; its port and what to trust come back."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)  # noqa: TID251 - a certificate is valid by the real clock
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)

    async def take(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/x", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    try:
        yield runner.addresses[0][1], ssl.create_default_context(cafile=path)
    finally:
        await runner.cleanup()


async def test_over_tls_the_certificate_must_be_of_the_name_though_the_address_was_checked(tmp_path: Path) -> None:
    async with encrypted(tmp_path, "hooks.example") as (port, tls):
        for host, trust, ok in (
            ("hooks.example", tls, True),
            ("other.example", tls, False),
            ("hooks.example", None, False),
        ):
            one = target(f"https://{host}:{port}/x", resolver=Names("127.0.0.1"), tls=trust)
            assert (await one.send("msg_1", AT, BODY)).ok is ok
            await one.close()
