"""The rest of what a book does is in `tests/contract/test_accounts.py`, on every backend."""

import hashlib

from gateway.adapters.account_book import KEY_PREFIX, AccountBook, ApiKey, AuditEntry, Hold, NewKey, Records
from gateway.adapters.clock import SystemClock
from gateway.core.account import Account, Refused, Step, new_account
from gateway.ports import Clock


class Sheet(AccountBook):
    """A backend that only remembers what it was asked to write."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self.asked: list[object] = []

    async def write_change(self, uid: str, step: Step, entry: AuditEntry) -> Account | Refused:
        self.asked.append(entry)
        return step(new_account(uid))

    async def write_hold(self, uid: str, hold: Hold, entry: AuditEntry) -> Account | Refused:
        self.asked += [hold, entry]
        return new_account(uid)

    async def write_key(self, digest: bytes, key: ApiKey, entry: AuditEntry) -> Refused | None:
        self.asked += [digest, key, entry]
        return None

    async def write_revocation(self, key_id: str, entry: AuditEntry) -> ApiKey | Refused:
        self.asked.append(entry)
        return ApiKey(key_id, "alice", "bot", 1, 2)


async def test_a_backend_is_never_given_the_secret_of_a_key() -> None:
    sheet = Sheet()
    records: Records = sheet
    assert records is sheet
    made = await sheet.add_key("alice", label="bot", who="ann", why="asked")
    assert isinstance(made, NewKey)
    digest, key, entry = sheet.asked
    assert digest == hashlib.sha256(made.secret.encode()).digest()
    assert key == made.key
    assert made.secret.removeprefix(KEY_PREFIX) not in repr((key, entry))


async def test_an_entry_has_the_instant_at_which_the_change_was_asked_for() -> None:
    sheet = Sheet()
    before = sheet.clock.now()
    await sheet.add_flag("alice", "us-ip", who="ann", why="asked")
    after = sheet.clock.now()
    (entry,) = sheet.asked
    assert isinstance(entry, AuditEntry)
    assert before <= entry.at <= after
    assert entry._replace(at=0) == AuditEntry(0, "ann", "flag.add", "alice", {}, {}, "asked")


async def test_a_change_is_decided_on_the_account_that_the_backend_has_when_it_writes() -> None:
    sheet = Sheet()
    seen: list[Account] = []

    def step(account: Account) -> Account:
        seen.append(account)
        return account

    await sheet.change("alice", step, who="ann", why="asked")
    assert seen == [new_account("alice")]
