"""Decisions into a Kafka topic, each a record that has the decision's id for its key."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final, NamedTuple

import orjson

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.post import secret_in
from gateway.core.decision import Document, parse_instant
from gateway.core.errors import ConfigError

SASL: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_BATCH_BYTES: Final = 256 * 1024
"""Of one partition's records, before they are compressed; brokers take a megabyte."""
_ENDS_WITHIN_S: Final = 2.0
_AT_ONCE: Final = 100
"""Records that are handed to the client before anything else may run."""
_SHOWN: Final = 300

# The client says each failed attempt by itself; we say it once, in our own log.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class Login(NamedTuple):
    """Who signs in, and how. The file is read for each connection, so that a password can be replaced."""

    user: str
    password_file: Path
    mechanism: str = SASL[0]


class Kafka:
    """Produces idempotently with acknowledgements of all replicas in sync. A batch that comes again is there twice.

    Records of one decision have the same key, hence the same partition: a compacted topic keeps one of them. The order
    is that of the decisions within a partition, as long as nothing was sent twice.
    """

    def __init__(
        self,
        servers: Sequence[str],
        *,
        topic: str,
        tls: SSLContext | None = None,
        login: Login | None = None,
        timeout_s: float = 30,
    ) -> None:
        """Build, without connecting. Raise ConfigError where it cannot work, or the extra is not installed.

        Args:
            servers: host and port of brokers to begin with; the others are learned from them.
            topic: must exist, or be made by the brokers when it is asked for.
            tls: how connections are encrypted and whom they trust; None: not at all.
            login: shown to brokers; over encrypted connections alone.
            timeout_s: for one batch, from the look-up of names to the last acknowledgement.
        """
        self.name = f"sink {topic} at {servers[0]}"
        if find_spec("aiokafka") is None:
            raise ConfigError(
                f"{self.name}: `aiokafka` is missing; install the extra: pip install 'geofence-gateway[kafka]'"
            )
        if login is not None and tls is None:
            raise ConfigError(f"{self.name}: without TLS everybody on the way reads the password")
        if login is not None and login.mechanism not in SASL:
            raise ConfigError(f"{self.name}: sasl `{login.mechanism}`; there are {', '.join(SASL)}")
        self._servers = list(servers)
        self._topic = topic
        self._tls = tls
        self._login = login
        self._timeout_s = timeout_s
        self._producer: Any = None
        self._ending: set[asyncio.Task[None]] = set()
        try:
            self._signing_in()
        except SinkUnavailable as fault:
            raise ConfigError(str(fault)) from None

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once every record is acknowledged. Raise SinkUnavailable."""
        records = await asyncio.to_thread(_records, batch)
        errors = import_module("aiokafka.errors")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._produce(records)
        except TimeoutError:
            self._leave()
            raise SinkUnavailable(f"{self.name}: not acknowledged within {self._timeout_s:g} s") from None
        except (errors.KafkaError, OSError, AssertionError) as fault:
            self._leave()
            raise SinkUnavailable(f"{self.name}: {_first_line(fault)}") from None
        except BaseException:
            self._leave()
            raise

    async def close(self) -> None:
        """Close the connections, within a bounded time."""
        self._leave()
        if self._ending:
            await asyncio.wait(self._ending, timeout=_ENDS_WITHIN_S)
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _produce(self, records: Sequence["_Record"]) -> None:
        if self._producer is None:
            self._producer = self._client()
            await self._producer.start()
        acknowledged = []
        for number, record in enumerate(records):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            answer = await self._producer.send(
                self._topic, value=record.value, key=record.key, timestamp_ms=record.at_ms
            )
            answer.add_done_callback(_looked_at)
            acknowledged.append(answer)
        await asyncio.gather(*acknowledged)

    def _client(self) -> Any:  # noqa: ANN401 - a class of an extra that may be missing
        protocol = "PLAINTEXT" if self._tls is None else "SSL" if self._login is None else "SASL_SSL"
        return import_module("aiokafka").AIOKafkaProducer(
            bootstrap_servers=self._servers,
            client_id="geofence-gateway",
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            max_batch_size=_BATCH_BYTES,
            # Longer than we wait: what gives up is the batch, and its client with it.
            request_timeout_ms=int(self._timeout_s * 1000),
            security_protocol=protocol,
            ssl_context=self._tls,
            **self._signing_in(),
        )

    def _signing_in(self) -> dict[str, str]:
        if self._login is None:
            return {}
        return {
            "sasl_mechanism": self._login.mechanism,
            "sasl_plain_username": self._login.user,
            "sasl_plain_password": secret_in(self._login.password_file, self.name),
        }

    def _leave(self) -> None:
        """Let go of the client: after a failure it may hold records that the next batch brings again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.get_running_loop().create_task(_stop(producer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Record(NamedTuple):
    key: bytes
    value: bytes
    at_ms: int


def _records(batch: Sequence[Document]) -> list[_Record]:
    return [_Record(one["id"].encode(), orjson.dumps(one), parse_instant(one["at"]) // 1000) for one in batch]


async def _stop(producer: Any) -> None:  # noqa: ANN401 - a class of an extra that may be missing
    with suppress(Exception):
        await producer.stop()


def _looked_at(answer: "asyncio.Future[Any]") -> None:
    """Take note of a failure, so that nobody says that it was overlooked: the batch fails with the first."""
    if not answer.cancelled():
        answer.exception()


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:_SHOWN]
