import base64
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.adapters import publisher_web
from gateway.adapters.der import OCTETS, SEQUENCE, Reader
from gateway.adapters.proof import check
from gateway.adapters.publisher import Publisher
from gateway.adapters.publisher_web import TimestampPublisher, WebhookPublisher, checked, place_of
from gateway.adapters.seals import last_line, note_removed, read_lines
from gateway.adapters.signing import signer_of
from gateway.core.errors import JournalUnavailable
from tests.adapters.test_timestamp import answer, nonce_of

Write = Callable[..., list[bytes]]
AT = 1_763_700_000_000_000
SECRET = b"a secret of 24 bytes or more"


class Receiver(ThreadingHTTPServer):
    """Takes what is posted, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.reply: Callable[[bytes], bytes] = lambda _: b""
        self.url = f"http://127.0.0.1:{self.server_address[1]}/seals/of-a-secret-path"

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that hangs up is what is tested."""


class _Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        reply = self.server.reply(body)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def journal(tmp_path: Path, write_sealed: Write) -> Path:
    directory = tmp_path / "journal"
    directory.mkdir()
    write_sealed(directory, "w0")
    return directory


@pytest.fixture
def line(journal: Path) -> bytes:
    """The newest line of the journal's worker."""
    newest = last_line(journal / "w0-00000003.seals")
    assert newest is not None
    return newest


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.mark.parametrize("written", [SECRET, b"whsec_" + base64.b64encode(SECRET)])
def test_a_line_is_posted_as_it_is_and_signed_as_standard_webhooks_are(
    receiver: Receiver, secret: Path, line: bytes, written: bytes
) -> None:
    secret.write_bytes(written)
    publisher: Publisher = WebhookPublisher(receiver.url, secret, now=lambda: AT)
    publisher.start()
    publisher.publish(line)
    publisher.close()
    ((headers, body),) = receiver.got
    assert body == line
    assert headers["content-type"] == "application/json"
    assert headers["webhook-timestamp"] == str(AT // 1_000_000)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(SECRET, signed, sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    publisher.publish(line)
    assert receiver.got[1][0]["webhook-id"] == headers["webhook-id"], "so that a line that comes twice can be told"


@pytest.mark.parametrize("status", [302, 400, 500])
def test_what_is_not_answered_with_success_was_not_published_and_no_path_is_told(
    receiver: Receiver, secret: Path, line: bytes, status: int
) -> None:
    receiver.status = status
    with pytest.raises(OSError, match=f"it answered {status}") as told:
        WebhookPublisher(receiver.url, secret).publish(line)
    assert "secret" not in str(told.value)
    assert len(receiver.got) == 1


def test_a_receiver_that_is_away_slow_or_endless_is_left_in_time(
    receiver: Receiver, secret: Path, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match=r"http://127\.0\.0\.1:1: ClientConnectorError") as told:
        WebhookPublisher("http://127.0.0.1:1/of-a-secret-path", secret).publish(line)
    assert "secret" not in str(told.value)
    receiver.reply = lambda _: bytes(100_000)
    receiver.status = 200
    with pytest.raises(OSError, match="more than 65,536 bytes"):
        WebhookPublisher(receiver.url, secret).publish(line)
    monkeypatch.setattr(publisher_web, "ANSWERED_WITHIN_S", 0.1)
    over = threading.Event()
    receiver.reply = lambda _: bytes(over.wait(30))
    began = time.monotonic()
    with pytest.raises(OSError, match=r"no answer within 0\.1 s"):
        WebhookPublisher(receiver.url, secret).publish(line)
    over.set()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("content", [b"", b"too short", b"whsec_" + b"!" * 40, b"x" * 9000])
def test_a_secret_that_cannot_work_stops_the_start_and_is_not_told(secret: Path, content: bytes) -> None:
    secret.write_bytes(content)
    with pytest.raises(JournalUnavailable, match="secret") as told:
        WebhookPublisher("https://receiver.example/x", secret)
    assert content.decode() not in str(told.value) or not content
    with pytest.raises(JournalUnavailable, match="No such file"):
        WebhookPublisher("https://receiver.example/x", secret.parent / "absent")


@pytest.mark.parametrize(
    "url",
    ["http://receiver.example/", "ftp://127.0.0.1/", "https://u:p@receiver.example/", "https://", "https://[x/", "/x"],
)
def test_nothing_is_sent_in_the_clear_or_to_what_is_no_address(url: str) -> None:
    with pytest.raises(JournalUnavailable, match="publishing to") as told:
        checked(url, plain=False)
    assert "u:p" not in str(told.value)


def test_this_machine_and_authorities_may_be_told_without_encryption() -> None:
    for url in ("http://127.0.0.1:8/x", "http://[::1]/x", "http://localhost/", "https://receiver.example/"):
        assert checked(url, plain=False) == url
    assert checked("http://timestamps.example/tsr", plain=True)
    assert place_of("https://receiver.example:8443/services/T0/secret?token=x") == "https://receiver.example:8443"


def granted(asked: bytes) -> bytes:
    fields = Reader(asked).inside(SEQUENCE)
    fields.number()
    imprint = fields.inside(SEQUENCE)
    imprint.skip()
    return answer(imprint.take(OCTETS), nonce_of(asked))


def test_a_line_is_stamped_and_the_stamp_kept_beside_the_seals(receiver: Receiver, journal: Path, line: bytes) -> None:
    receiver.status, receiver.reply = 200, granted
    publisher: Publisher = TimestampPublisher(receiver.url, journal)
    publisher.start()
    publisher.publish(line)
    publisher.close()
    ((headers, body),) = receiver.got
    assert headers["content-type"] == "application/timestamp-query"
    assert line not in body
    (seal,), (stamp,) = (journal / "timestamps").glob("*.seal"), (journal / "timestamps").glob("*.tsr")
    assert seal.read_bytes() == line
    assert stamp.stem == seal.stem
    assert stamp.stat().st_mode & 0o777 == 0o600
    proof = check(journal)
    assert proof.ok, proof.text()
    ((worker, number, where, at),) = proof.witnesses
    assert (worker, where) == ("w0", f"timestamps/{stamp.name}")
    assert f"line {number:,} was stamped 2026-11-21T17:58:22Z, {where}" in proof.text()
    assert proof.to_json()["witnesses"] == [{"worker": "w0", "line": number, "where": where, "at": at}]


def test_an_answer_that_is_no_stamp_is_not_kept(receiver: Receiver, journal: Path, line: bytes) -> None:
    receiver.status = 200
    for reply in (lambda _: b"", lambda asked: granted(asked)[:-1], lambda _: answer(sha256(line).digest(), 5)):
        receiver.reply = reply
        with pytest.raises(OSError, match="answered no timestamp"):
            TimestampPublisher(receiver.url, journal).publish(line)
    assert not (journal / "timestamps").exists()


def test_stamps_go_with_the_lines_that_they_are_about(receiver: Receiver, journal: Path, line: bytes) -> None:
    receiver.status, receiver.reply = 200, granted
    publisher = TimestampPublisher(receiver.url, journal)
    first = list(read_lines(journal / "w0-00000001.seals"))[-1][0]
    publisher.publish(first)
    assert len(list((journal / "timestamps").iterdir())) == 2
    for path in note_removed(journal, "w0", (1, 1), signer=signer_of(journal), at=AT, why="old"):
        path.unlink()
    assert check(journal).ok, "the stamp of a line that was removed on purpose is no finding"
    publisher.publish(line)
    assert {path.stem for path in (journal / "timestamps").iterdir()} == {f"w0-{check(journal).witnesses[0].line:08d}"}
