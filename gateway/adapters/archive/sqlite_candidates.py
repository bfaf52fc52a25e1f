"""The rulings that fit a search, from the newest epoch back, by the index that holds the fewest of them."""

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Final

from gateway.adapters.archive.sqlite_conditions import Asked, Condition, joined, take_apart
from gateway.core.search import Search, packed_range

_IN_NETWORK: Final = 20_000
"""Rulings in a network beyond which it is no place to begin."""
_COMPARED: Final = 5000
"""Rulings that are counted to see of which there are fewer."""

Candidate = tuple[int, int]
"""The epoch of a ruling, and its number."""


class Candidates:
    """Where to begin with one search, in one read transaction."""

    def __init__(self, database: sqlite3.Connection, search: Search) -> None:
        self._database = database
        self._search = search
        self.asked: Asked = take_apart(search)
        first, last = (None, b"") if search.address is None else packed_range(search.address)
        self.few = search.account is not None or search.ticket is not None or first == last
        """Whether there is little doubt that few rulings fit."""
        self._near: list[Candidate] | None = None

    def none(self) -> bool:
        """Return whether nothing that was ever recorded has the shape that is asked for."""
        return bool(self.asked.shape.sql) and not self._shapes(1)

    def back_from(self, newest: int) -> Iterator[Candidate] | None:
        """Yield what fits, from the epoch `newest` back; None where there is no index to begin with."""
        search, asked = self._search, self.asked
        if search.ticket is not None:
            rest = joined(asked.account, asked.address, asked.asn, asked.shaped)
            return self._of("ticket", Condition("r.ticket = ?", (search.ticket,)), newest, rest)
        if search.account is not None:
            rest = joined(asked.address, asked.asn, asked.shaped)
            return self._of("account", Condition("r.account = ?", (search.account,)), newest, rest)
        if search.address is not None:
            first, last = packed_range(search.address)
            if first == last:
                return self._of(
                    "address", Condition("r.address = ?", (first,)), newest, joined(asked.asn, asked.shaped)
                )
            near = self._in_network(first, last)
            if near is not None:
                return (one for one in near if one[0] <= newest)
        if search.asn is not None and not self._shapes_are_rarer(search.asn):
            return self._of_asn(search.asn, newest)
        return self._of_shapes(newest) if asked.shape.sql else None

    def _of(self, index: str, which: Condition, newest: int, rest: Condition) -> Iterator[Candidate]:
        query = (
            f"SELECT r.epoch, r.id FROM rulings r INDEXED BY rulings_by_{index} "  # noqa: S608 - our own conditions
            f"WHERE {which.sql} AND r.epoch <= ?{rest.sql} ORDER BY r.epoch DESC"
        )
        return self._database.execute(query, (*which.values, newest, *rest.values))

    def _of_asn(self, asn: int, newest: int) -> Iterator[Candidate]:
        # The shape stands beside the ASN too, so that most rulings that do not fit are never looked at.
        shaped, rest = self.asked.in_shapes("a.shape"), self.asked.address
        join = "CROSS JOIN rulings r ON r.id = a.ruling" if rest.sql else ""
        query = (
            f"SELECT a.epoch, a.ruling FROM ruling_asns a {join} "  # noqa: S608 - our own conditions
            f"WHERE a.asn = ? AND a.epoch <= ?{shaped.sql}{rest.sql} ORDER BY a.epoch DESC"
        )
        return self._database.execute(query, (asn, newest, *shaped.values, *rest.values))

    def _of_shapes(self, newest: int) -> Iterator[Candidate]:
        """Yield rulings of any of the shapes: of all shapes, always the one that was used in the newest epoch."""
        rest = joined(self.asked.address, self.asked.asn)
        latest = "SELECT max(epoch) FROM rulings WHERE shape = ? AND epoch <= ?"
        there = (
            "SELECT r.epoch, r.id FROM rulings r INDEXED BY rulings_by_shape "  # noqa: S608 - our own conditions
            f"WHERE r.shape = ? AND r.epoch = ?{rest.sql}"
        )
        heap = []
        for shape in self._shapes():
            (epoch,) = self._database.execute(latest, (shape, newest)).fetchone()
            if epoch is not None:
                heap.append((-epoch, shape))
        heapq.heapify(heap)
        while heap:
            epoch, shape = -heap[0][0], heap[0][1]
            yield from self._database.execute(there, (shape, epoch, *rest.values))
            (epoch,) = self._database.execute(latest, (shape, epoch - 1)).fetchone()
            if epoch is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (-epoch, shape))

    def _in_network(self, first: bytes, last: bytes) -> list[Candidate] | None:
        """Return all rulings in the network that fit, newest epoch first; None where the network is large."""
        if self._near is None:
            near = "rulings r INDEXED BY rulings_by_address WHERE r.address BETWEEN ? AND ?"
            if self._counted(near, (first, last), _IN_NETWORK + 1) > _IN_NETWORK:
                return None
            rest = joined(self.asked.asn, self.asked.shaped)
            query = f"SELECT r.epoch, r.id FROM {near}{rest.sql} ORDER BY r.epoch DESC, r.id DESC"  # noqa: S608 - ours
            self._near = self._database.execute(query, (first, last, *rest.values)).fetchall()
        return self._near

    def _shapes(self, most: int = -1) -> list[int]:
        query = f"SELECT s.id FROM shapes s WHERE 1{self.asked.shape.sql} LIMIT ?"  # noqa: S608 - our own conditions
        return [number for (number,) in self._database.execute(query, (*self.asked.shape.values, most))]

    def _shapes_are_rarer(self, asn: int) -> bool:
        if not self.asked.shape.sql:
            return False
        shaped = self.asked.shaped
        return self._counted(f"rulings r WHERE 1{shaped.sql}", shaped.values) < self._counted(
            "ruling_asns WHERE asn = ?", (asn,)
        )

    def _counted(self, which: str, values: tuple[str | int | bytes, ...], most: int = _COMPARED) -> int:
        query = f"SELECT count(*) FROM (SELECT 1 FROM {which} LIMIT ?)"  # noqa: S608 - our own conditions
        return int(self._database.execute(query, (*values, most)).fetchone()[0])
