"""What can be done to accounts, the same on every backend: each change checked, and written down with who and why."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from gateway.core.account import (
    Account,
    Author,
    Refused,
    Step,
    add_flag,
    checked,
    new_account,
    remove_flag,
    set_status,
    steps,
)
from gateway.core.terms import Operation, Status, Verification
from gateway.ports import Clock

KEY_PREFIX: Final = "gwk_"
LONGEST_WHO: Final = 128
LONGEST_WHY: Final = 2000
LONGEST_LABEL: Final = 100


class AuditEntry(NamedTuple):
    """One change: who made it, when, why, and what was different before and after."""

    at: int
    who: str
    action: str
    account: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    why: str


class ApiKey(NamedTuple):
    """What is kept of an API key. Its secret is not."""

    key_id: str
    """The first 16 hexadecimal digits of the secret's SHA-256 digest."""
    account: str
    label: str
    created_at: int
    revoked_at: int | None


class NewKey(NamedTuple):
    """An API key that was just made. The secret is shown once and kept nowhere."""

    secret: str
    key: ApiKey


class Hold(NamedTuple):
    """A limit on one operation of one account. The same cause makes one hold."""

    operation: str
    cause: str
    until: int | None
    """When it ends by itself, microseconds since the epoch; None where people must lift it."""

    def outlasts(self, until: int | None) -> bool:
        """Return whether this hold ends later than one that ends at `until`."""
        return until is not None and (self.until is None or self.until > until)


class Records(Protocol):
    """What a backend supplies: reading an account, and writing a change and its audit entry as one."""

    @property
    def clock(self) -> Clock:
        """What tells when a change was made."""

    async def write_change(self, uid: str, step: Step, entry: AuditEntry) -> Account | Refused:
        """Return what `step` made of the account, stored with the entry in one transaction.

        A refusal, or an account that stays as it was, changes nothing and writes no entry. The entry comes without
        the difference; what it has in `after` is added to that.
        """

    async def write_hold(self, uid: str, hold: Hold, entry: AuditEntry) -> Account | Refused:
        """Return the account with the hold on it, stored with the entry in one transaction.

        Of two holds of the same operation and cause the one that ends later stays, whether or not the other has ended;
        where that is the one that was there, nothing is changed and no entry written.
        """

    async def write_key(self, digest: bytes, key: ApiKey, entry: AuditEntry) -> Refused | None:
        """Keep the key; None where that is done."""

    async def write_revocation(self, key_id: str, entry: AuditEntry) -> ApiKey | Refused:
        """Return the key, revoked at the entry's instant; as it was where it was revoked before."""


class AccountBook:
    """The changes of accounts, for a backend to inherit."""

    async def create(self: Records, uid: str, *, who: str, why: str) -> Account | Refused:
        """Return a new account of which nothing is known; refused where there is one of that name."""

        def step(account: Account | None) -> Account | Refused:
            if account is not None:
                return Refused("uid", f"there is an account `{uid}` already")
            return checked(new_account(uid))

        return await _recorded(self, uid, "account.create", step, who, why)

    async def put(
        self: Records,
        uid: str,
        *,
        status: str = Status.OPEN,
        verification: str = Verification.NONE,
        documents: Iterable[str] = (),
        residence: str | None = None,
        nationality: str | None = None,
        flags: Iterable[str] | None = None,
        who: str,
        why: str,
    ) -> Account | Refused:
        """Return the account as the exchange's own record has it, new or not; `flags` None leaves its flags alone.

        No table of transitions is asked: this takes over what was decided elsewhere. Holds stay.
        """
        papers = frozenset(documents)
        marks = None if flags is None else frozenset(flags)

        def step(account: Account | None) -> Account | Refused:
            known = account or new_account(uid)
            return checked(
                known._replace(
                    status=str(status),
                    verification=str(verification),
                    documents=papers,
                    residence=residence,
                    nationality=nationality,
                    flags=known.flags if marks is None else marks,
                )
            )

        return await _recorded(self, uid, "account.put", step, who, why)

    async def change(
        self: Records,
        uid: str,
        step: Callable[[Account], Account | Refused],
        *,
        create: bool = False,
        evidence: str | None = None,
        who: str,
        why: str,
    ) -> Account | Refused:
        """Return what `step` makes of the account as it stands when it is written, or why it is not written.

        `create`: an account that is not there is made, and `step` applied to that.
        """
        return await _recorded(self, uid, "account.change", _existing(uid, step, create=create), who, why, evidence)

    async def set_status(
        self: Records, uid: str, status: str, *, by: Author, evidence: str | None = None, who: str, why: str
    ) -> Account | Refused:
        """Return the account at `status`, or why it may not stand there."""
        step = _existing(uid, lambda account: set_status(account, status, by=by, evidence=evidence))
        return await _recorded(self, uid, "status.set", step, who, why, evidence)

    async def add_flag(self: Records, uid: str, flag: str, *, who: str, why: str) -> Account | Refused:
        """Return the account with the flag on it."""
        return await _recorded(self, uid, "flag.add", _existing(uid, lambda one: add_flag(one, flag)), who, why)

    async def remove_flag(self: Records, uid: str, flag: str, *, who: str, why: str) -> Account | Refused:
        """Return the account without the flag."""
        return await _recorded(self, uid, "flag.remove", _existing(uid, lambda one: remove_flag(one, flag)), who, why)

    async def place_hold(
        self: Records, uid: str, operation: str, *, cause: str, until: int | None = None, who: str, why: str
    ) -> Account | Refused:
        """Return the account with the operation held for `cause`.

        The same cause makes one hold, which lasts until the latest end that it was given.
        """
        if operation not in tuple(Operation):
            choices = tuple(map(str, Operation))
            return Refused("hold", f"`{operation[:80]}` is no operation; it is one of {', '.join(choices)}", choices)
        if not is_line(cause, LONGEST_LABEL):
            return Refused("hold", f"a hold's cause is one line of 1 to {LONGEST_LABEL} characters")
        entry = entry_of(self.clock, "hold.place", uid, who, why, cause=cause, until=until)
        if isinstance(entry, Refused):
            return entry
        return await self.write_hold(uid, Hold(str(Operation(operation)), cause, until), entry)

    async def add_key(self: Records, uid: str, *, label: str, who: str, why: str) -> NewKey | Refused:
        """Return a new API key of the account. Its secret is known to nobody else and is not kept."""
        if not is_line(label, LONGEST_LABEL):
            return Refused("label", f"a key's label is one line of 1 to {LONGEST_LABEL} characters")
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(secret.encode("ascii")).digest()
        entry = entry_of(self.clock, "key.add", uid, who, why, key=digest.hex()[:16], label=label)
        if isinstance(entry, Refused):
            return entry
        key = ApiKey(digest.hex()[:16], uid, label, entry.at, None)
        return await self.write_key(digest, key, entry) or NewKey(secret, key)

    async def revoke_key(self: Records, key_id: str, *, who: str, why: str) -> ApiKey | Refused:
        """Return the key, which opens nothing any more."""
        entry = entry_of(self.clock, "key.revoke", "", who, why, key=key_id)
        return entry if isinstance(entry, Refused) else await self.write_revocation(key_id, entry)


async def _recorded(  # noqa: PLR0917 - the parts of one entry
    records: Records, uid: str, action: str, step: Step, who: str, why: str, evidence: str | None = None
) -> Account | Refused:
    if evidence is not None and not is_line(evidence, LONGEST_WHY):
        return Refused("evidence", f"evidence is named in one line of 1 to {LONGEST_WHY} characters")
    entry = entry_of(records.clock, action, uid, who, why, **({"evidence": evidence} if evidence else {}))
    return entry if isinstance(entry, Refused) else await records.write_change(uid, step, entry)


def _existing(uid: str, step: Callable[[Account], Account | Refused], *, create: bool = False) -> Step:
    """Return the step for an account that must be there, or is made."""

    def existing(account: Account | None) -> Account | Refused:
        if account is None and create:
            return steps(checked, step)(new_account(uid))
        return absent(uid) if account is None else step(account)

    return existing


def entry_of(clock: Clock, action: str, uid: str, who: str, why: str, **after: object) -> AuditEntry | Refused:
    """Return the start of an audit entry; refused where nobody answers for the change."""
    for what, text, longest in (("who", who, LONGEST_WHO), ("why", why, LONGEST_WHY)):
        if not is_line(text, longest):
            return Refused(what, f"every change says {what}, in one line of 1 to {longest} characters")
    return AuditEntry(clock.now(), who, action, uid, {}, after, why)


def is_line(text: str, longest: int) -> bool:
    """Return whether a text is one line that says something, and not too long."""
    return bool(text.strip()) and len(text) <= longest and text.isprintable()


def absent(uid: str) -> Refused:
    """Return the refusal of an account that is not there."""
    return Refused("uid", f"there is no account `{ascii(uid[:80])[1:-1]}`")


def absent_key(key_id: str) -> Refused:
    """Return the refusal of a key that nobody has."""
    return Refused(
        "key", f"there is no key `{ascii(key_id[:40])[1:-1]}`; `key list` shows the ids of an account's keys"
    )
