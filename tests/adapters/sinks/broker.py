"""A Kafka broker on this machine, as far as a producer needs one: read from the protocol's guide, not from a client.

https://kafka.apache.org/protocol: ApiVersions 0, Metadata 1, InitProducerId 0, Produce 3, SaslHandshake 1 and
SaslAuthenticate 0, record batches of format 2 with their checksum, and a producer's sequence numbers.
"""

import asyncio
import gzip
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import NamedTuple

PRODUCE, METADATA, HANDSHAKE, VERSIONS, PRODUCER_ID, AUTHENTICATE = 0, 3, 17, 18, 22, 36
SPOKEN = {
    PRODUCE: (3, 3),
    METADATA: (1, 1),
    HANDSHAKE: (1, 1),
    VERSIONS: (0, 0),
    PRODUCER_ID: (0, 0),
    AUTHENTICATE: (0, 0),
}
OUT_OF_ORDER, DUPLICATE, TOPIC_FORBIDDEN, LOGIN_FAILED = 45, 46, 29, 58


class Record(NamedTuple):
    partition: int
    at_ms: int
    key: bytes
    value: bytes


class Fields:
    """Reads the fields of a request, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        assert 0 <= length <= len(self.data) - self.at, "a request ends early"
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form: str) -> int:
        (value,) = struct.unpack(f">{form}", self.take(struct.calcsize(f">{form}")))
        return int(value)

    def text(self) -> str | None:
        length = self.number("h")
        return None if length < 0 else self.take(length).decode()

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (value >> 1) ^ -(value & 1)


class Broker:
    """What was produced, and what it shall answer."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.port = 0
        self.kept: list[Record] = []
        self.acks: set[int] = set()
        self.logins: list[bytes] = []
        self.password = b""
        self.refuse: list[int] = []
        """Error codes for the next record batches; 0 takes one."""
        self.away = False
        """Whether connections are cut when something is produced."""
        self.silent = False
        """Whether what is produced is not answered."""
        self.producers = 0
        self._next: dict[tuple[int, int], int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                request = Fields(await reader.readexactly(length))
                key, version, correlation = request.number("h"), request.number("h"), request.number("i")
                request.text()
                least, most = SPOKEN[key]
                assert least <= version <= most, f"version {version} of {key} was not offered"
                if key == PRODUCE and self.away:
                    break
                answer = self._answers()[key](request)
                assert request.at == len(request.data), "a request goes on after its end"
                if key == PRODUCE and self.silent:
                    continue
                writer.write(struct.pack(">ii", len(answer) + 4, correlation) + answer)
        writer.close()

    def _answers(self) -> dict[int, Callable[[Fields], bytes]]:
        return {
            VERSIONS: lambda _: (
                struct.pack(">hi", 0, len(SPOKEN))
                + b"".join(struct.pack(">hhh", key, *versions) for key, versions in SPOKEN.items())
            ),
            METADATA: self._metadata,
            PRODUCER_ID: self._producer_id,
            PRODUCE: self._produce,
            HANDSHAKE: lambda request: struct.pack(">hi", 0, 1) + text(request.text() or ""),
            AUTHENTICATE: self._authenticate,
        }

    def _metadata(self, request: Fields) -> bytes:
        topics = [request.text() or "" for _ in range(request.number("i"))]
        brokers = struct.pack(">ii", 1, 7) + text("127.0.0.1") + struct.pack(">ih", self.port, -1)
        described = b"".join(
            struct.pack(">h", 0)
            + text(topic)
            + struct.pack(">?i", False, self.partitions)
            + b"".join(struct.pack(">hiiiiii", 0, n, 7, 1, 7, 1, 7) for n in range(self.partitions))
            for topic in topics
        )
        return brokers + struct.pack(">ii", 7, len(topics)) + described

    def _producer_id(self, request: Fields) -> bytes:
        assert request.text() is None, "a transaction was not asked for"
        request.number("i")
        self.producers += 1
        return struct.pack(">ihqh", 0, 0, self.producers, 0)

    def _authenticate(self, request: Fields) -> bytes:
        login = request.take(request.number("i"))
        self.logins.append(login)
        wrong = login.split(b"\0")[-1] != self.password
        return struct.pack(">hhi", LOGIN_FAILED if wrong else 0, -1, 0)

    def _produce(self, request: Fields) -> bytes:
        assert request.text() is None
        self.acks.add(request.number("h"))
        request.number("i")
        answers = b""
        topics = request.number("i")
        for _ in range(topics):
            answers += text(request.text() or "")
            count = request.number("i")
            answers += struct.pack(">i", count)
            for _ in range(count):
                partition = request.number("i")
                error = self._keep(partition, Fields(request.take(request.number("i"))))
                answers += struct.pack(">ihqq", partition, error, len(self.kept), -1)
        return struct.pack(">i", topics) + answers + struct.pack(">i", 0)

    def _keep(self, partition: int, batch: Fields) -> int:
        """Return 0 where a record batch was kept, or the error's code."""
        batch.number("q")
        assert batch.number("i") == len(batch.data) - 12, "one batch for each partition"
        batch.number("i")
        assert batch.number("b") == 2
        checksum = batch.number("I")
        assert checksum == crc32c(batch.data[batch.at :]), "the checksum is wrong"
        attributes, _, first_ms = batch.number("h"), batch.number("i"), batch.number("q")
        batch.number("q")
        producer, _, sequence, count = batch.number("q"), batch.number("h"), batch.number("i"), batch.number("i")
        assert producer > 0, "not an idempotent producer"
        if self.refuse and (error := self.refuse.pop(0)):
            return error
        if sequence != (expected := self._next.get((producer, partition), 0)):
            return DUPLICATE if sequence < expected else OUT_OF_ORDER
        self._next[producer, partition] = sequence + count
        assert attributes & 7 in {0, 1}, "neither plain nor gzip"
        rest = batch.data[batch.at :]
        records = Fields(gzip.decompress(rest) if attributes & 7 else rest)
        for _ in range(count):
            records.varint(), records.number("b")
            at_ms = first_ms + records.varint()
            records.varint()
            key, value = records.take(records.varint()), records.take(records.varint())
            assert records.varint() == 0, "headers that nobody asked for"
            self.kept.append(Record(partition, at_ms, key, value))
        return 0


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def crc32c(data: bytes) -> int:
    """The checksum of Castagnoli (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


TABLE = [_entry(byte) for byte in range(256)]


@asynccontextmanager
async def broker(partitions: int = 3, tls: SSLContext | None = None) -> AsyncIterator[Broker]:
    """Serve on a port that the system chooses."""
    one = Broker(partitions)
    faults: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await one.serve(reader, writer)
        except (AssertionError, KeyError) as fault:
            faults.append(fault)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
    if faults:
        raise faults[0]
