"""Which upstream a request goes to, and whom the gateway believes to be it."""

import asyncio
import contextlib
import datetime as dt
import ssl

import httpx2
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from gateway.core.errors import ConfigError
from gateway.enforce.proxy_pool import Upstream
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.test_reverse_proxy import served


def named(name):
    """An upstream that says its name and the target it was asked for."""

    async def says(request):
        return PlainTextResponse(f"{name} {request.scope['raw_path'].decode()}?{request.url.query}")

    async def says_so(websocket):
        await websocket.accept()
        await websocket.send_text(name)
        await websocket.close()

    return Starlette(routes=[Route("/{rest:path}", says), WebSocketRoute("/{rest:path}", says_so)])


async def test_the_first_path_that_fits_takes_the_request_and_its_target_as_it_is() -> None:
    async with contextlib.AsyncExitStack() as stack:
        rest, orders, stream = [await stack.enter_async_context(served(named(n))) for n in ("rest", "orders", "stream")]
        routes = [
            ("/ws/{rest:path}", Upstream(stream)),
            ("/orders/{id:int}", Upstream(orders)),
            ("/orders/{id}", Upstream(stream)),
        ]
        proxy = ReverseProxy(rest, routes)
        url = await stack.enter_async_context(served(proxy))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=url))
        for target, answer in (
            ("/ws/a/b?c=%2F", "stream /ws/a/b?c=%2F"),
            ("/orders/17", "orders /orders/17?"),
            ("/orders/x", "stream /orders/x?"),
            ("/orders/17/x", "rest /orders/17/x?"),
            ("/wsx", "rest /wsx?"),
            ("/", "rest /?"),
        ):
            assert (await client.get(target)).text == answer
        for path, answer in (("/ws/x", "stream"), ("/x", "rest")):
            async with websockets.connect(url.replace("http", "ws") + path) as socket:
                assert await asyncio.wait_for(socket.recv(), 10) == answer
        await proxy.close()


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
