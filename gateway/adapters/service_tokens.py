"""The tokens of the admin API, in the store: made, listed, revoked, checked, and each look that they open noted."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.account_book import LONGEST_LABEL, AuditEntry, entry_of, is_line
from gateway.adapters.schema import SERVICE_TOKENS
from gateway.adapters.sql import AccountStore, note
from gateway.core.account import Refused
from gateway.core.permissions import Role
from gateway.core.permissions import person as person_of
from gateway.core.service_token import SCOPES, ServiceToken, read_token, token_text, unknown_scope
from gateway.ports import MICROSECONDS

MOST_DAYS: Final = 366
"""The longest life of a token: what is never renewed is never looked at again."""
MOST_LISTED: Final = 1000
_DAY_US: Final = 86_400 * MICROSECONDS
_NOBODY: Final = bytes(32)
_COLUMNS: Final = (
    SERVICE_TOKENS.c.token_id,
    SERVICE_TOKENS.c.label,
    SERVICE_TOKENS.c.scopes,
    SERVICE_TOKENS.c.created_by,
    SERVICE_TOKENS.c.created_at,
    SERVICE_TOKENS.c.expires_at,
    SERVICE_TOKENS.c.revoked_at,
    SERVICE_TOKENS.c.person,
    SERVICE_TOKENS.c.roles,
)
_ONE: Final = sa.select(*_COLUMNS, SERVICE_TOKENS.c.digest).where(SERVICE_TOKENS.c.token_id == sa.bindparam("token_id"))


class NewToken(NamedTuple):
    """A token that was just made. Its text is shown once and kept nowhere."""

    text: str
    token: ServiceToken


class Unmasked(NamedTuple):
    """A decision that somebody saw unmasked."""

    decision_id: str
    account: str | None


class ServiceTokens:
    """The tokens of one store, which its owner starts and closes."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def create(self, *, label: str, scopes: Iterable[str], days: int, who: str, why: str) -> NewToken | Refused:
        """Return a new token of a program that holds for so many days. Its secret is known to nobody else."""
        asked = frozenset(scopes)
        wrong = unknown_scope(sorted(asked))
        if wrong is not None or not asked:
            said = "a token opens something" if wrong is None else f"`{ascii(wrong[:40])[1:-1]}` is no scope"
            choices = tuple(map(str, SCOPES))
            return Refused("scope", f"{said}; the scopes are {', '.join(choices)}", choices)
        return await self._made(ServiceToken("", label, asked, who, 0, 0, None), days, why)

    async def create_personal(
        self, *, person: str, roles: Iterable[str], days: int, who: str, why: str, label: str = "personal"
    ) -> NewToken | Refused:
        """Return a new token of a person, who may do what the roles open. Its secret is known to nobody else."""
        asked = tuple(roles)
        wrong = next((role for role in asked if role not in tuple(Role)), None)
        if wrong is not None or not asked:
            said = "a person has a role" if wrong is None else f"`{ascii(wrong[:40])[1:-1]}` is no role"
            choices = tuple(map(str, Role))
            return Refused("role", f"{said}; the roles are {', '.join(choices)}", choices)
        try:
            owner = person_of(person, asked)
        except ValueError as fault:
            return Refused("person", str(fault))
        return await self._made(
            ServiceToken("", label, frozenset(), who, 0, 0, None, owner.name, owner.roles), days, why
        )

    async def _made(self, token: ServiceToken, days: int, why: str) -> NewToken | Refused:
        if not is_line(token.label, LONGEST_LABEL):
            return Refused("label", f"a token's label is one line of 1 to {LONGEST_LABEL} characters")
        if not 1 <= days <= MOST_DAYS:
            return Refused("days", f"a token holds for 1 to {MOST_DAYS} days")
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        opens: dict[str, object] = {"scopes": sorted(token.scopes)}
        if token.person is not None:
            opens = {"person": token.person, "roles": sorted(token.roles)}
        entry = entry_of(
            self._store.clock, "token.create", "", token.created_by, why, token=token_id, label=token.label, **opens
        )
        if isinstance(entry, Refused):
            return entry
        token = token._replace(token_id=token_id, created_at=entry.at, expires_at=entry.at + days * _DAY_US)
        row = {
            **token._asdict(),
            "scopes": " ".join(sorted(token.scopes)),
            "roles": None if token.person is None else " ".join(sorted(token.roles)),
            "digest": _digest(secret),
        }
        async with self._store.writing("make a token") as connection:
            await connection.execute(sa.insert(SERVICE_TOKENS), row)
            await note(connection, entry)
        return NewToken(token_text(token_id, secret), token)

    async def revoke(self, token_id: str, *, who: str, why: str) -> ServiceToken | Refused:
        """Return the token, which opens nothing any more; as it was where it was revoked before."""
        entry = entry_of(self._store.clock, "token.revoke", "", who, why, token=token_id[:64])
        if isinstance(entry, Refused):
            return entry
        async with self._store.writing("revoke a service token") as connection:
            row = (await connection.execute(_ONE, {"token_id": token_id})).one_or_none()
            if row is None:
                return Refused(
                    "token", f"there is no token `{ascii(token_id[:40])[1:-1]}`; `gateway token list` shows their ids"
                )
            token = _token(row)
            if token.revoked_at is None:
                mine = SERVICE_TOKENS.c.token_id == token_id
                await connection.execute(sa.update(SERVICE_TOKENS).where(mine).values(revoked_at=entry.at))
                await note(connection, entry)
                token = token._replace(revoked_at=entry.at)
        return token

    async def tokens(self) -> list[ServiceToken]:
        """Return the newest tokens, revoked and expired ones too, the newest first."""
        query = sa.select(*_COLUMNS).order_by(SERVICE_TOKENS.c.created_at.desc(), SERVICE_TOKENS.c.token_id)
        async with self._store.reading("list service tokens") as connection:
            return [_token(row) for row in await connection.execute(query.limit(MOST_LISTED))]

    async def check(self, text: str, at: int) -> ServiceToken | None:
        """Return the token that this text is and that holds at `at`; None otherwise. Raise StoreUnavailable.

        A token that was revoked opens nothing from the next check on: nothing is remembered.
        """
        presented = read_token(text)
        if presented is None:
            return None
        async with self._store.reading("check a service token") as connection:
            row = (await connection.execute(_ONE, {"token_id": presented.token_id})).one_or_none()
        # Compared in any case: how long the answer takes does not tell whether there is a token of that id.
        same = compare_digest(_digest(presented.secret), _NOBODY if row is None else bytes(row.digest))
        if row is None or not same:
            return None
        token = _token(row)
        return token if token.holds(at) else None

    async def note_unmasked(self, who: str, why: str, seen: Sequence[Unmasked]) -> Refused | None:
        """Write down that `who` saw these decisions unmasked, and why; None where that is done.

        Each stands in the history of its account, in one transaction with the others. Raise StoreUnavailable: then
        nobody may be shown anything.
        """
        entries: list[AuditEntry] = []
        for one in seen:
            entry = entry_of(
                self._store.clock, "decision.unmask", one.account or "", who, why, decision=one.decision_id
            )
            if isinstance(entry, Refused):
                return entry
            entries.append(entry)
        if entries:
            async with self._store.writing("note an unmasking") as connection:
                await note(connection, *entries)
        return None

    async def note_seen(self, action: str, account: str, who: str, why: str, **what: object) -> Refused | None:
        """Write down that `who` sees what is not shown without a reason; None where that is done.

        Raise StoreUnavailable: then nobody may be shown anything.
        """
        entry = entry_of(self._store.clock, action, account, who, why, **what)
        if isinstance(entry, Refused):
            return entry
        async with self._store.writing("note a look") as connection:
            await note(connection, entry)
        return None

    async def note_unmasked_search(self, who: str, why: str, search: Mapping[str, str]) -> Refused | None:
        """Write down that `who` sees unmasked whatever this search finds, and why; None where that is done.

        One entry, before anything is shown: an export may hold millions. Raise StoreUnavailable.
        """
        return await self.note_seen("decisions.unmask", search.get("account", ""), who, why, search=dict(search))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _token(row: Sequence[Any]) -> ServiceToken:
    token_id, label, scopes, created_by, created_at, expires_at, revoked_at, person, roles = tuple(row)[:9]
    # A role that this code does not know opens nothing here.
    known = frozenset(Role(role) for role in (roles or "").split() if role in tuple(Role))
    return ServiceToken(
        token_id, label, frozenset(scopes.split()), created_by, created_at, expires_at, revoked_at, person, known
    )
