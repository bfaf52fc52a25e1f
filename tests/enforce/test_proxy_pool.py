"""How many connections there are to an upstream, how long they are kept, and whom it is believed by."""

import asyncio
import contextlib
import datetime as dt
import ssl

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.core.errors import ConfigError
from gateway.enforce.proxy_pool import Upstream
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.scripted import GET, OK, answering, asked, before, client, served, silent


async def test_connections_are_kept_and_given_up_when_the_upstream_says_so() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with before(answering(OK, OK, closing)) as (port, upstream):
        for _ in range(3):
            assert (await asked(port, GET))[0] == 200
        assert upstream.connections == 1
        assert (await asked(port, GET))[0] == 200
        assert upstream.connections == 2


async def test_what_may_not_be_repeated_takes_no_connection_that_has_been_idle_for_long() -> None:
    async with before(answering(OK), sure_s=0.0) as (port, upstream):
        for request, connections in ((GET, 1), (GET, 1), (GET.replace(b"GET", b"DELETE"), 2), (GET, 2)):
            assert (await asked(port, request))[0] == 200
            assert upstream.connections == connections


async def test_a_connection_that_nobody_uses_is_closed() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await reader.read()
        self.lost.set()

    async with before(script, kept_s=0.1) as (port, upstream):
        assert (await asked(port, GET))[0] == 200
        await asyncio.wait_for(upstream.lost.wait(), 10)


async def test_no_more_requests_than_said_are_under_way_and_no_more_wait_than_said() -> None:
    async with before(silent, connections=2, queue_s=0.1) as (port, upstream), contextlib.AsyncExitStack() as held:
        for _ in range(2):
            _, writer = await held.enter_async_context(client(port))
            writer.write(GET)
            await asyncio.wait_for(upstream.reached.acquire(), 10)
        status, headers, _ = await asked(port, GET)
        assert (status, headers["retry-after"]) == (503, "1")
        assert upstream.connections == 2


async def test_who_waits_is_served_when_a_connection_is_free() -> None:
    async def script(self, reader, writer):
        while True:
            await self.head(reader)
            await asyncio.sleep(0.02)
            writer.write(OK)

    async with before(script, connections=2, queue_s=5) as (port, upstream):
        answers = await asyncio.gather(*(asked(port, GET) for _ in range(4)))
        assert [status for status, _, _ in answers] == [200] * 4
        assert upstream.connections <= 2


async def test_who_waited_takes_the_connection_that_became_free() -> None:
    async with before(answering(OK), connections=5, queue_s=5) as (port, upstream):
        answers = await asyncio.gather(*(asked(port, GET) for _ in range(10)))
        assert [status for status, _, _ in answers] == [200] * 10
        assert upstream.connections <= 5


async def test_a_place_is_free_again_whatever_became_of_its_exchange() -> None:
    async with before(silent, connections=1, queue_s=0.05, response_s=0.05) as (port, _):
        for _ in range(4):
            assert (await asked(port, GET))[0] == 504


def certified(folder, name, *, issuer=None):
    """A certificate of `name` with its key, in one file; `issuer` is the file of who signed it, itself by default."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer, by = key, subject
    if issuer is not None:
        signer = serialization.load_pem_private_key(issuer.read_bytes(), None)
        by = x509.load_pem_x509_certificate(issuer.read_bytes()).subject
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)  # noqa: TID251 - a certificate is valid by the real clock
    signed = (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return path


@contextlib.asynccontextmanager
async def over_tls(certificate, clients=None):
    """The URL of an upstream with this certificate, which asks clients for one that `clients` signed."""

    async def connected(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def status_before(upstream):
    proxy = ReverseProxy(upstream)
    async with served(proxy) as url, httpx2.AsyncClient(base_url=url) as client:
        statuses = {(await client.get("/")).status_code for _ in range(2)}
        await proxy.close()
    (status,) = statuses
    return status


async def test_an_upstream_is_believed_by_its_certificate_and_its_name_alone(tmp_path) -> None:
    ca = certified(tmp_path, "ca.example")
    theirs = certified(tmp_path, "api.internal", issuer=ca)
    stranger = certified(tmp_path, "stranger.example")
    async with over_tls(theirs) as url:
        assert await status_before(Upstream(url, ca_file=ca, server_name="api.internal")) == 200
        assert await status_before(Upstream(url, ca_file=ca, server_name="other.internal")) == 502
        assert await status_before(Upstream(url, ca_file=ca)) == 502
        assert await status_before(Upstream(url, server_name="api.internal")) == 502
        assert await status_before(Upstream(url, ca_file=stranger, server_name="api.internal")) == 502


async def test_the_gateway_shows_its_own_certificate_where_it_has_one(tmp_path) -> None:
    ca = certified(tmp_path, "ca.example")
    theirs = certified(tmp_path, "api.internal", issuer=ca)
    ours = certified(tmp_path, "gateway.internal", issuer=ca)
    async with over_tls(theirs, ca) as url:
        believed = {"ca_file": ca, "server_name": "api.internal"}
        assert await status_before(Upstream(url, certificate=ours, **believed)) == 200
        assert await status_before(Upstream(url, **believed)) == 502


@pytest.mark.parametrize("key", ["ca_file", "certificate"])
def test_what_is_no_certificate_stops_the_start(tmp_path, key) -> None:
    path = tmp_path / "no.pem"
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"no\.pem"):
        ReverseProxy(Upstream("https://api.internal", **{key: path}))
