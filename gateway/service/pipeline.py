"""The line: AccessRequest → ClientIP → Facts → Verdict → Reply → Decision.

One function per arrow. `decide` is the line itself; `recall` is the same line for a request that differs from an
earlier one in nothing that a verdict depends on: it answers from what was settled then, and records as fully.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from gateway.core.client_ip import ClientIP
from gateway.core.decision import ambiguous_document, instant_text, ruling_document
from gateway.core.errors import JournalUnavailable
from gateway.core.facts import Facts
from gateway.core.failing import kind_of
from gateway.core.obligations import about_document, errands
from gateway.core.onward import onward
from gateway.core.preference import lines_of
from gateway.core.reply import Reply, record_unavailable, reply_to, reply_to_ambiguous
from gateway.core.request import AccessRequest
from gateway.core.said import Attempt
from gateway.core.tallies import TOOK, Tallies, Tally
from gateway.core.target import Ambiguous, shown_target
from gateway.core.terms import MONEY_MOVING, Access, Outcome, TokenState
from gateway.core.trace_context import TRACEPARENT, with_trace
from gateway.core.verdict import RuleRef, Verdict
from gateway.core.withdrawal_request import WithdrawalRule, asked_of
from gateway.policies.bundle import Bundle
from gateway.policies.evaluate import evaluate
from gateway.ports import Carried, Clock, Journal, Ruling
from gateway.service.breaker import DISK_WITHIN_S, Breaker
from gateway.service.devices import Seen
from gateway.service.errands import AtOnce
from gateway.service.gather import Gather, Marks, holds_until, unasked
from gateway.service.ids import DecisionIds
from gateway.service.load import Load, TooMuch
from gateway.service.memo import Memo
from gateway.service.reading import Key, Reading, RequestReader
from gateway.service.risk import abouts

_SECOND = 1_000_000
_KEY, _STRANGERS_KEY, _HOPS = 4096, 512, 8
"""Bytes of a key, and hops of a chain, beyond which an answer is not kept: their sender decides how long they are."""
_LOOK_EVERY = 1000
"""Microseconds for which the generations of keys, accounts and editions are not looked at again: looking asks each of
them, on the path of every request, and they change by the minute."""

_UNHEARD = Marks(-2, -2)
"""Of which nothing is that was settled."""

_Id = tuple[bytes, bytes]

_LEVELS = {access: (b"gateway-access", access.encode("ascii")) for access in Access}


class Settled(Ruling):
    """A verdict with all that it was made of, which answers equal requests until something changes."""

    __slots__ = (
        "account",
        "accounts",
        "auth_time",
        "client_ip",
        "device",
        "facts",
        "generation",
        "level",
        "once",
        "others",
        "reply",
        "tally",
        "told",
        "until",
        "verdict",
    )

    def __init__(
        self,
        document: bytes,
        client_ip: ClientIP,
        reply: Reply,
        facts: Facts | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        super().__init__(document)
        self.client_ip = client_ip
        self.reply = reply
        self.facts = facts
        self.verdict = verdict
        self.auth_time: int | None = None
        self.device: Seen | None = None
        """The device that was recognised; None where none was."""
        self.once = True
        """Whether it answers nothing else: it moves money, or an outage is behind it, which is over when it is over."""
        self.until = 0
        """Equal requests may be answered by this before this instant, microseconds since the epoch."""
        self.generation = -1
        """Up to which sum of all changes it is known to hold."""
        self.others = -1
        """The part of the sum that is not of accounts, when its facts were gathered."""
        self.account: str | None = None
        """Whose it is; None where nobody is signed in."""
        self.accounts = -1
        """The generation of the accounts when its facts were gathered; below all where it is not known whose it is."""
        self.tally: Tally | None = None
        """Where its answers are counted; None before the first."""
        self.level = _LEVELS[reply.access]
        """What every answer says of the access that is left: a header."""
        self.told = (self.level, *onward(facts))
        """What the upstream learns of every request answered by this: header names and values."""


@dataclass(init=False)
class Passage:
    """The answer to one request."""

    decision_id: bytes
    """As headers write it: the text of a UUID."""
    settled: Settled
    reply: Reply
    reading: Reading | None
    """None where the request could not be read."""
    position: int | None
    """Where the journal has it; None where it could not be written."""

    def __init__(
        self, decision_id: bytes, settled: Settled, reply: Reply, reading: Reading | None, position: int | None
    ) -> None:
        self.decision_id = decision_id
        self.settled = settled
        self.reply = reply
        self.reading = reading
        self.position = position


class Line:
    """The line, wired to its ports. One per process."""

    def __init__(
        self,
        *,
        reader: RequestReader,
        gather: Gather,
        bundle: Bundle,
        journal: Journal,
        clock: Clock,
        at_once: AtOnce | None = None,
        withdrawals: WithdrawalRule | None = None,
        load: Load | None = None,
        limit: int = 16_384,
    ) -> None:
        """Build. Without `at_once` obligations are recorded alone; without `withdrawals` nothing is read of them."""
        self.load = load or Load()
        self.disk = Breaker("journal", clock, JournalUnavailable, within_s=DISK_WITHIN_S)
        """Stands before the wait for the disk: where it does not answer, nobody queues up for it."""
        self._at_once = at_once
        self._withdrawals = withdrawals
        self.reader = reader
        self.gather = gather
        self.bundle = bundle
        self.journal = journal
        self._now = clock.now
        self._append = journal.append
        self._ids = DecisionIds()
        self.tallies = Tallies()
        self._settled: Memo[Key, Settled] = Memo(limit)
        self._strangers: Memo[Key, Settled] = Memo(limit // 4)
        """Apart: whoever varies what needs no credential pushes out nobody who has one."""
        self._generation = -1
        self._others = -1
        self._looked_at = 0
        self.unrecorded = 0
        """Answered requests whose decision could not be written, since the start; none of them moved money."""

    def adopt(self, bundle: Bundle) -> None:
        """Decide by `bundle` from the next request on. Nothing settled under the old one is used again."""
        self.bundle = bundle
        self._settled.clear()
        self._strangers.clear()

    def recall(self, request: AccessRequest) -> Passage | None:
        """Return the answer that an equal request was given, recorded anew.

        None where there is none, or where anything that it depends on may have changed since: `decide` then.
        """
        reading = self.reader.glance(request)
        if type(reading) is not Reading:
            return None
        settled = self._settled.get(reading.key) or self._strangers.get(reading.key)
        if settled is None or not self.stands(settled, request.at):
            return None
        return self.record(request, settled, reading, reading.record)

    def stands(self, settled: Settled, at: int) -> bool:
        """Return whether nothing that the answer depends on, but for the bundle, may have changed since."""
        if at >= settled.until:
            return False
        if not 0 <= at - self._looked_at < _LOOK_EVERY:
            self._looked_at = at
            accounts, self._others = self.gather.marks() if self.gather.reliable(at) else _UNHEARD
            self._generation = accounts + self._others
        return settled.generation == self._generation or self._holds(settled)

    def _holds(self, settled: Settled) -> bool:
        """Return whether whatever changed since the answer was settled was the account of somebody else."""
        if settled.others != self._others or self.gather.changed_at(settled.account) > settled.accounts:
            return False
        # The sum of the last look, not of now: what changed in between is seen at the next one.
        settled.generation = self._generation
        return True

    def wants_body(self, request: AccessRequest) -> bool:
        """Return whether the decision depends on what stands in the request's body."""
        if self._withdrawals is None or not self._withdrawals.reads_body:
            return False
        reading = self.reader.read(request)
        return isinstance(reading, Reading) and reading.route.operation in self._withdrawals.operations

    async def decide(self, request: AccessRequest, body: bytes | None = None, *, again: bool = False) -> Passage:
        """Return the answer to the request, from facts gathered now, recorded.

        Where there is too much to do, nothing is gathered, and no fact is known. `again`: it is about what stays open,
        which is decided one by one, and was let in before.
        """
        reading = self.reader.read(request)
        if isinstance(reading, Ambiguous):
            return self._refuse_unread(request, reading)
        operation = reading.route.operation
        asked = asked_of(self._withdrawals, operation, request.headers, body)
        return await self.answer(request, reading, Attempt(operation, asked), again=again)

    async def answer(
        self, request: AccessRequest, reading: Reading, attempt: Attempt, *, again: bool = False
    ) -> Passage:
        """Return the answer to what is attempted by a request, or by a message on the stream it opened, recorded."""
        drawn = self._ids.draw(request.at)
        try:
            async with self.load.place(kind_of(attempt.operation), let_in=again):
                settled = await self._settle(request, reading, drawn, attempt)
        except TooMuch:
            settled = self._unasked(request, reading, attempt)
        passage = self.record(request, settled, reading, reading.record, drawn)
        if attempt.operation in MONEY_MOVING and passage.position is not None and settled.reply.status == 200:
            return await self._durable(passage, passage.position)
        return passage

    async def _settle(self, request: AccessRequest, reading: Reading, drawn: _Id, attempt: Attempt) -> Settled:
        """Return the verdict on the request, from facts gathered now, with what it asks for carried out."""
        bundle = self.bundle
        # Taken before anything is gathered: a change that lands in between makes this answer an old one. So does
        # what is carried out below: the next request is decided anew, on the hold that this one led to.
        marks = self.gather.marks()
        client_ip = self.reader.client_ip(request, reading.plan)
        came = self.reader.came(request, reading.plan)
        gathered = await self.gather(
            request.at,
            attempt.operation,
            client_ip,
            self.reader.presented(request, reading.plan),
            fresh=attempt.operation in MONEY_MOVING,
            came=came,
            asked=attempt.asked,
        )
        verdict = evaluate(gathered.facts, bundle)
        about = {}
        if verdict.obligations and gathered.measured is not None:
            about = abouts(bundle, verdict.obligations, gathered.measured)
        reply = await self._follow_up(gathered.facts, verdict, about, drawn[1])
        document = ruling_document(
            client_ip, gathered.facts, bundle.digest, gathered.editions, verdict, reply, attempt.message
        )
        if reply.ticket is not None:
            ticket, until = reply.ticket.id, reply.ticket.until
            document["reply"] |= {"ticket_id": ticket, "hold_until": None if until is None else instant_text(until)}
        if gathered.measured is not None and gathered.measured.detail is not None:
            document["signals_detail"] = gathered.measured.detail
        if gathered.remembered:
            document["account_remembered"] = True
        if about:
            document["about"] = about_document(about)
        # Copied to measure: orjson leaves its buffer as large as it grew, which is several times the document.
        encoded = bytes(memoryview(orjson.dumps(document)))
        settled = Settled(encoded, client_ip, reply, gathered.facts, verdict)
        settled.auth_time = gathered.auth_time
        settled.device = came.device
        if came.device is not None and came.device.since_s is not None:
            # So that the app can name the device in the events that it tells.
            settled.told = (*settled.told, (b"gateway-device", came.device.key.encode("ascii")))
        settled.generation = marks.accounts + marks.others
        settled.others = marks.others
        account = gathered.facts.account
        if account is None or isinstance(account, str):
            settled.account = account
            settled.accounts = marks.accounts
        settled.until = holds_until(gathered, bundle)
        settled.once = attempt.operation in MONEY_MOVING or verdict.outage or gathered.remembered
        if not settled.once and bundle is self.bundle and attempt.message is None:
            self._keep(reading.key, settled)
        return settled

    def _unasked(self, request: AccessRequest, reading: Reading, attempt: Attempt) -> Settled:
        """Return the verdict on a request of which nobody had the time to learn anything."""
        facts = unasked(request.at, attempt.operation)
        verdict = evaluate(facts, self.bundle)
        reply = reply_to(verdict, overloaded=True)
        self.load.answered(kind_of(attempt.operation), reply.status)
        client_ip = self.reader.client_ip(request, reading.plan)
        document = ruling_document(client_ip, facts, self.bundle.digest, (), verdict, reply, attempt.message)
        return Settled(orjson.dumps(document), client_ip, reply, facts, verdict)

    async def _follow_up(
        self, facts: Facts, verdict: Verdict, about: Mapping[RuleRef, str], decision_id: bytes
    ) -> Reply:
        """Return the reply, once what the verdict asks for was carried out, or put off to the record."""
        reply = reply_to(verdict)
        if self._at_once is None:
            return reply
        carried: tuple[Carried, ...] = ()
        if verdict.obligations:
            account = facts.account if isinstance(facts.account, str) else None
            todo = errands(
                account, verdict.obligations, decision_id=decision_id.decode("ascii"), at=facts.at, about=about
            )
            carried = await self._at_once.carry_out(todo, facts)
        if verdict.outcome is not Outcome.DENY or verdict.outage:
            return reply
        return reply._replace(ticket=await self._at_once.ticket(carried, facts))

    def _keep(self, key: Key, settled: Settled) -> None:
        """Remember the answer, where its sender cannot vary it at will or make it as long as he likes."""
        assert settled.facts is not None
        match settled.facts.token:
            case TokenState.VALID:
                memory, longest = self._settled, _KEY
            case TokenState.ABSENT:
                memory, longest = self._strangers, _STRANGERS_KEY
            case _:
                return
        if len(settled.client_ip.chain) <= _HOPS and _length(key) <= longest:
            memory.keep(key, settled)

    def record(
        self,
        request: AccessRequest,
        settled: Settled,
        reading: Reading | None,
        record: bytes,
        drawn: _Id | None = None,
    ) -> Passage:
        """Return the answer, recorded where that can be had."""
        at = request.at
        raw_id, decision_id = drawn or self._ids.draw(at)
        age = settled.auth_time
        if age is not None:
            age = (at - age) // _SECOND if at > age else 0
        took_us = max(self._now() - at, 0)
        reply = settled.reply
        tally = settled.tally
        if tally is None:
            tally = settled.tally = self.tallies.of(settled.verdict, reply)
        tally[took_us.bit_length()] += 1
        tally[TOOK] += took_us
        position: int | None
        try:
            position = self._append(settled, raw_id, at, age, took_us, record)
        except JournalUnavailable:
            self.unrecorded += 1
            if settled.facts is not None and settled.facts.operation in MONEY_MOVING:
                reply = _unrecorded(settled)
            position = None
        return Passage(decision_id, settled, reply, reading, position)

    async def _durable(self, passage: Passage, position: int) -> Passage:
        """Return the passage once its decision is on the disk; a refusal where that cannot be had."""
        try:
            await self.disk.ask(self.journal.durable, position)
        except JournalUnavailable:
            self.unrecorded += 1
            return replace(passage, reply=_unrecorded(passage.settled))
        return passage

    def _refuse_unread(self, request: AccessRequest, ambiguous: Ambiguous) -> Passage:
        client_ip = self.reader.client_ip_of_unread(request)
        reply = reply_to_ambiguous(ambiguous.why)
        document = ambiguous_document(client_ip, self.bundle.digest, str(ambiguous.why), ambiguous.detail, reply)
        settled = Settled(orjson.dumps(document), client_ip, reply)
        record = f"{request.method[:16]}\0{shown_target(request.target)}\0\0".encode("ascii", "replace")
        return self.record(request, settled, None, with_trace(record, lines_of(request.headers, TRACEPARENT)))


def _length(key: Key) -> int:
    return sum(
        len(part) if isinstance(part, bytes) else _length(part) for part in key if isinstance(part, bytes | tuple)
    )


def _unrecorded(settled: Settled) -> Reply:
    assert settled.verdict is not None
    return record_unavailable(settled.verdict)
