"""Taking stretches into the embedded archive: one transaction each, nothing twice."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from gateway.adapters.archive.documents import Kind, ReadRuling, day_of, hour_of, read_ruling
from gateway.adapters.archive.memory import check_rulings
from gateway.adapters.archive.sqlite_packing import Packer, pack_asns
from gateway.adapters.archive.sqlite_schema import epoch_of
from gateway.adapters.clock import SystemClock
from gateway.core.trace_context import untraced
from gateway.ports import Clock, RecordedDecision, Stretch

_ASKED_AT_ONCE: Final = 500
_DAY: Final = 86_400_000_000
_FARTHEST: Final = 1 << 62
"""Instants and ages beyond this are taken for it: SQLite has 63 bits, and sums of them must fit too."""
_LIKE_NO_OTHER: Final = re.compile(rb"[0-9]{4}|[0-9a-fA-F]{8}")
"""A path with such a number in it is likely asked for once, and kept with its decision."""

Key = tuple[int, bytes]
"""An epoch, and the digest of a ruling."""
Halves = tuple[bytes, bytes | None]
"""Method and path of a request, and what follows them; None where nothing does."""


class Shape(NamedTuple):
    """What many rulings have in common: all that they are found by but account, address and ASN."""

    kind: Kind
    countries: tuple[str, ...]
    rules: tuple[str, ...]


class Taker:
    """Writes stretches through one connection."""

    def __init__(self, database: sqlite3.Connection, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._packer = Packer()

    def take(self, stretch: Stretch) -> int:
        """Return how many decisions were new. Raise StoreUnavailable or sqlite3.Error, and then nothing was taken."""
        check_rulings(stretch)
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            new = self._new(stretch.decisions)
            if new:
                self._write(new, stretch)
            now = self._clock.now()
            database.execute(
                "INSERT INTO progress VALUES (?1, ?2, ?3, ?4) ON CONFLICT (worker) DO UPDATE SET segment = ?2, "
                '"end" = ?3 WHERE (segment, "end") < (?2, ?3)',
                (stretch.worker, stretch.segment, stretch.end, now),
            )
            database.execute("UPDATE progress SET at = ? WHERE worker = ?", (now, stretch.worker))
            database.execute("COMMIT")
        except BaseException:
            self._packer.clear()
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return len(new)

    def _new(self, decisions: Sequence[RecordedDecision]) -> list[RecordedDecision]:
        """Return the decisions that are not there yet, each once, in the order of their ids."""
        offered: dict[bytes, RecordedDecision] = {}
        for decision in decisions:
            offered.setdefault(decision.id, decision if _is_within(decision) else _brought_within(decision))
        ids = sorted(offered)
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            some = ids[start : start + _ASKED_AT_ONCE]
            query = f"SELECT id FROM decisions WHERE id IN ({','.join('?' * len(some))})"  # noqa: S608 - question marks
            for (known,) in self._database.execute(query, some):
                del offered[known]
        return [offered[key] for key in ids if key in offered]

    def _write(self, new: Sequence[RecordedDecision], stretch: Stretch) -> None:
        read = {digest: read_ruling(stretch.rulings[digest]) for digest in {decision.ruling for decision in new}}
        keys = {(epoch_of(decision.id), decision.ruling) for decision in new}
        rulings = self.rulings(keys, read, stretch.rulings)
        requests = [untraced(decision.request) for decision in new]
        halves = [halves_of(request) for request, _ in requests]
        texts = self.texts((half, decision.at) for half, decision in zip(halves, new, strict=True))
        self._database.executemany(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    decision.id,
                    rulings[epoch_of(decision.id), decision.ruling],
                    decision.at,
                    decision.took_us,
                    decision.auth_age,
                    texts.get(asked, asked),
                    None if sender is None else texts[sender],
                    *((None, None) if trace is None else map(bytes.fromhex, trace[:2])),
                )
                for decision, (asked, sender), (_, trace) in zip(new, halves, requests, strict=True)
            ],
        )
        self._count(Counter((hour_of(decision.at), decision.ruling) for decision in new), read)
        skews = [decision.at - int.from_bytes(decision.id[:6], "big") * 1000 for decision in new]
        self._database.execute(
            "UPDATE skew SET low = min(low, ?1), high = max(high, ?2) WHERE low > ?1 OR high < ?2",
            (min(skews), max(skews)),
        )

    def rulings(
        self, keys: set[Key], read: Mapping[bytes, ReadRuling], documents: Mapping[bytes, bytes]
    ) -> dict[Key, int]:
        """Return the number of each ruling in each epoch, which those that are not there yet are given."""
        database = self._database
        numbers: dict[Key, int] = {}
        absent: list[Key] = []
        for key in sorted(keys):
            row = database.execute("SELECT id FROM rulings WHERE epoch = ? AND digest = ?", key).fetchone()
            if row is None:
                absent.append(key)
            else:
                numbers[key] = row[0]
        if not absent:
            return numbers
        packed = self._packed({digest for _, digest in absent}, read, documents)
        shapes = self._shapes({_shape(read[digest]) for _, digest in absent})
        (last,) = database.execute("SELECT coalesce(max(id), 0) FROM rulings").fetchone()
        rows, asns = [], []
        for number, (epoch, digest) in enumerate(absent, last + 1):
            found_by = read[digest].found_by
            shape = shapes[_shape(read[digest])]
            rows.append(
                (
                    number,
                    epoch,
                    digest,
                    shape,
                    found_by.account,
                    found_by.address,
                    found_by.ticket,
                    not read[digest].erased,
                    pack_asns(found_by.asns),
                    *packed[digest],
                    read[digest].matter,
                )
            )
            asns += [(asn, epoch, number, shape) for asn in found_by.asns]
            numbers[epoch, digest] = number
        database.executemany("INSERT INTO rulings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.executemany("INSERT INTO ruling_asns VALUES (?, ?, ?, ?)", asns)
        return numbers

    def _packed(
        self, digests: set[bytes], read: Mapping[bytes, ReadRuling], documents: Mapping[bytes, bytes]
    ) -> dict[bytes, tuple[int, bytes]]:
        by_bundle: dict[str, list[bytes]] = defaultdict(list)
        for digest in sorted(digests):
            by_bundle[read[digest].found_by.bundle].append(digest)
        packed = {}
        for bundle, ones in by_bundle.items():
            self._packer.prepare(self._database, bundle, [documents[digest] for digest in ones])
            packed.update({digest: self._packer.pack(bundle, documents[digest]) for digest in ones})
        return packed

    def _shapes(self, shapes: Iterable[Shape]) -> dict[Shape, int]:
        database = self._database
        numbers = {}
        for shape in shapes:
            digest = blake2b(orjson.dumps((tuple(shape.kind), shape.countries, shape.rules)), digest_size=16).digest()
            row = database.execute("SELECT id FROM shapes WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                kind = self._kind(shape.kind)
                row = (database.execute("INSERT INTO shapes (digest, kind) VALUES (?, ?)", (digest, kind)).lastrowid,)
                database.executemany(
                    "INSERT INTO shape_countries VALUES (?, ?)", [(country, row[0]) for country in shape.countries]
                )
                database.executemany("INSERT INTO shape_rules VALUES (?, ?)", [(rule, row[0]) for rule in shape.rules])
            numbers[shape] = row[0]
        return numbers

    def _kind(self, kind: Kind) -> int:
        select = "SELECT id FROM kinds WHERE (operation, outcome, bundle) = (?, ?, ?) AND reason IS ? AND country IS ?"
        values = (kind.operation, kind.outcome, kind.bundle, kind.reason, kind.country)
        row = self._database.execute(select, values).fetchone()
        if row is None:
            insert = "INSERT INTO kinds (operation, outcome, bundle, reason, country) VALUES (?, ?, ?, ?, ?)"
            row = (self._database.execute(insert, values).lastrowid,)
        return int(row[0])

    def texts(self, used: Iterable[tuple[Halves, int]]) -> dict[bytes, int]:
        """Return the number of each text that is kept once, which notes the last day on which it was used."""
        latest: dict[bytes, int] = {}
        senders: set[bytes | None] = set()
        for texts, at in used:
            senders.add(texts[1])
            for text in texts:
                if text is not None and at > latest.get(text, -_FARTHEST - 1):
                    latest[text] = at
        numbers = {}
        for text, at in latest.items():
            if text not in senders and _LIKE_NO_OTHER.search(text):
                continue
            until = (at // _DAY + 1) * _DAY
            row = self._database.execute("SELECT id, seen FROM texts WHERE text = ?", (text,)).fetchone()
            if row is None:
                insert = "INSERT INTO texts (text, seen) VALUES (?, ?)"
                row = (self._database.execute(insert, (text, until)).lastrowid, until)
            elif row[1] < until:
                self._database.execute("UPDATE texts SET seen = ? WHERE id = ?", (until, row[0]))
            numbers[text] = row[0]
        return numbers

    def _rule(self, rule: str, bundle: str) -> int:
        insert = "INSERT INTO rules (rule, bundle) VALUES (?, ?) ON CONFLICT DO NOTHING"
        self._database.execute(insert, (rule, bundle))
        select = "SELECT id FROM rules WHERE (rule, bundle) = (?, ?)"
        return int(self._database.execute(select, (rule, bundle)).fetchone()[0])

    def _count(self, counts: Counter[tuple[int, bytes]], read: Mapping[bytes, ReadRuling]) -> None:
        """Add how many decisions of each hour have a ruling to what is counted of it."""
        kinds = {kind: self._kind(kind) for kind in {one.kind for one in read.values()}}
        by = {(rule, one.kind.bundle) for one in read.values() for rule in one.refused_by}
        rules = {name: self._rule(*name) for name in by}
        hours, days, refused = Counter[tuple[int, int]](), Counter[tuple[int, int]](), Counter[tuple[int, int]]()
        for (hour, digest), number in counts.items():
            one = read[digest]
            kind = kinds[one.kind]
            hours[hour, kind] += number
            days[day_of(hour), kind] += number
            for rule in one.refused_by:
                refused[hour, rules[rule, one.kind.bundle]] += number
        for table, added in (("counts", hours), ("days", days), ("rule_counts", refused)):
            self._database.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?) "  # noqa: S608 - one of three names
                "ON CONFLICT DO UPDATE SET decisions = decisions + excluded.decisions",
                sorted((start, what, number) for (start, what), number in added.items()),
            )


def _shape(read: ReadRuling) -> Shape:
    return Shape(read.kind, read.found_by.countries, read.found_by.rules)


def halves_of(request: bytes) -> Halves:
    """Return the two halves of a request."""
    end = request.find(b"\0", request.find(b"\0") + 1)
    return (request, None) if end <= 0 or request.count(b"\0") < 2 else (request[:end], request[end + 1 :])


def _is_within(decision: RecordedDecision) -> bool:
    return -_FARTHEST <= decision.at <= _FARTHEST and -_FARTHEST <= (decision.auth_age or 0) <= _FARTHEST


def _brought_within(decision: RecordedDecision) -> RecordedDecision:
    return decision._replace(
        at=_within(decision.at), auth_age=None if decision.auth_age is None else _within(decision.auth_age)
    )


def _within(number: int) -> int:
    return min(max(number, -_FARTHEST), _FARTHEST)
