"""The rest of what it does is in `tests/contract/test_accounts.py`, on every backend."""

from gateway.adapters.clock import SystemClock
from gateway.adapters.memory import MemoryAccounts
from gateway.core.account import new_account
from gateway.ports import Accounts


async def test_accounts_may_be_given_at_once_with_their_holds() -> None:
    carol = new_account("carol")._replace(status="flagged", holds=frozenset({"withdraw", "transfer"}))
    port: Accounts = MemoryAccounts([carol, new_account("bob")])
    assert await port.read("carol") == carol
    assert await port.read("bob") == new_account("bob")
    assert await port.read("alice") is None


async def test_memory_is_always_fresh() -> None:
    book = MemoryAccounts()
    for at in (0, SystemClock().now(), 2**62):
        assert book.fresh(at)


async def test_what_was_given_is_no_change() -> None:
    book = MemoryAccounts([new_account("bob")])
    assert (book.generation, await book.history("bob")) == (0, [])
