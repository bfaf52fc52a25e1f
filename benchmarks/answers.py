"""Whether a server answers as it must: a fast server that lets everybody through has not won."""

import json
import socket
from collections.abc import Sequence

from benchmarks.apps.market import MARKET
from benchmarks.load.client import answer_length
from benchmarks.servers import Server
from benchmarks.traffic import Kind, Probe

WAIT_S = 10
REFUSALS = frozenset({401, 403, 451})

REFUSES: dict[str, frozenset[Kind]] = {
    "bare": frozenset(),
    "bare-embedded": frozenset(),
    "two-headers": frozenset(),
    "gateway": frozenset({Kind.CLOSED, Kind.FORGED}),
    "gateway-compiled": frozenset({Kind.CLOSED, Kind.FORGED}),
    "gateway-embedded": frozenset({Kind.CLOSED, Kind.FORGED}),
    "straightforward": frozenset({Kind.CLOSED, Kind.FORGED}),
    "fastapi-guard": frozenset({Kind.CLOSED}),
    "fastapi-guard-asgi": frozenset({Kind.CLOSED}),
}
"""What each app claims to refuse; it must refuse that and nothing else."""


def check(server: Server, probes: Sequence[Probe]) -> None:
    """Stop the run when the server answers any probe otherwise than its app claims to."""
    for number, probe in enumerate(probes):
        status, body = ask(server.port, probe.request)
        wrong = fault(server.app, probe, status, body)
        if wrong:
            raise SystemExit(
                f"benchmark: `{server.app}` answered probe {number} ({probe.kind}) wrongly: {wrong}\n{server.tail()}"
            )


def fault(app: str, probe: Probe, status: int, body: bytes) -> str | None:
    """Return what is wrong with an answer, or None."""
    if probe.kind in REFUSES[app]:
        return None if status in REFUSALS else f"{status} where it must refuse"
    if status != 200:
        return f"{status} where it must let through: {body[:300]!r}"
    try:
        answer = json.loads(body)
    except ValueError:
        return f"not JSON: {body[:300]!r}"
    if answer == MARKET or answer.get("accepted") is True:
        return None
    return f"not the app's answer: {body[:300]!r}"


def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Return status and body of one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as line:
        line.sendall(request)
        data = b""
        while (length := answer_length(data)) is None or len(data) < length:
            piece = line.recv(65_536)
            if not piece:
                break
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1."):
        raise SystemExit(f"benchmark: not an HTTP answer: {data[:200]!r}")
    return int(head[9:12]), body
