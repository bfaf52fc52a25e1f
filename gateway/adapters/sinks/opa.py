"""Decisions to a service that takes decision logs as Open Policy Agent sends them.

The format: https://www.openpolicyagent.org/docs/management-decision-logs, "Decision Log Service API".
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Final

import orjson

from gateway.adapters.sinks.post import Poster, halved, parcels, shown, zipped
from gateway.core.decision import Document

PATH: Final = "gateway/decision"
"""Which policy was asked, as OPA would name it."""
_HEADERS: Final = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


class OpaLog:
    """Posts gzipped JSON arrays of decision log events; `decision_id` tells a repeat."""

    def __init__(
        self,
        url: str,
        *,
        labels: Mapping[str, str],
        token_file: Path | None = None,
        most_bytes: int = 1 << 20,
        timeout_s: float = 30,
        tls: SSLContext | None = None,
    ) -> None:
        """Build, without connecting. Raise ConfigError where it cannot work.

        Args:
            url: of the service's endpoint, such as https://HOST/logs.
            labels: what identifies this gateway; OPA itself sends `id`, `version` and what its operator adds.
            token_file: holds a bearer token.
            most_bytes: of one body before it is compressed. Where the service answers 413, halves are sent.
            timeout_s: for one body.
            tls: what to trust in place of the system's certificate authorities.
        """
        self._labels = {"app": "gateway", **labels}
        self._most_bytes = most_bytes
        self._poster = Poster(url, name=f"sink {shown(url)}", secret_file=token_file, timeout_s=timeout_s, tls=tls)

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once the service answered 2xx to everything. Raise SinkUnavailable."""
        for parcel in await asyncio.to_thread(self._parcels, batch):
            await halved(parcel, self._post)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    def _parcels(self, batch: Sequence[Document]) -> list[list[bytes]]:
        return list(parcels(map(orjson.dumps, map(partial(event, labels=self._labels), batch)), self._most_bytes))

    async def _post(self, events: Sequence[bytes]) -> None:
        body = await asyncio.to_thread(zipped, b"[" + b",".join(events) + b"]")
        await self._poster.post(body, _HEADERS)


def event(document: Document, labels: Mapping[str, str]) -> Document:
    """Return a decision as an event of OPA's decision log."""
    verdict = document["verdict"]
    return {
        "labels": labels,
        "decision_id": document["id"],
        "bundles": {"gateway": {"revision": document["bundle"]}},
        "path": PATH,
        "input": {
            "request": document["request"],
            "client_ip": document["client_ip"],
            "operation": document["operation"],
            "facts": document["facts"],
            "unknown": document["unknown"],
            "editions": document["editions"],
        },
        "result": {
            # Where a request could not be read there was no verdict, and it was refused.
            "allow": verdict is not None and verdict["outcome"] == "allow",
            "verdict": verdict,
            "reply": document["reply"],
            **({"ambiguous": document["ambiguous"]} if "ambiguous" in document else {}),
        },
        **({"requested_by": document["client_ip"]["address"]} if document["client_ip"]["address"] else {}),
        "timestamp": document["at"],
        "metrics": {"timer_server_handler_ns": document["took_us"] * 1000},
    }
