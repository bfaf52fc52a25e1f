import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.service_tokens import NewToken, ServiceTokens, Unmasked
from gateway.adapters.sql import AccountStore
from gateway.core.account import Refused
from gateway.core.errors import StoreUnavailable
from gateway.core.permissions import Person, Role
from gateway.core.service_token import ServiceToken, read_token
from tests.stores import KINDS, ON_A_FILE, SetClock, file_of, rows, url_of

DAY = 86_400_000_000


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    store = AccountStore(await url_of(request.param, tmp_path), clock=clock, read_within_s=5, write_within_s=5)
    yield store
    await store.close()


@pytest.fixture
def tokens(store: AccountStore) -> ServiceTokens:
    return ServiceTokens(store)


async def made(tokens: ServiceTokens, *scopes: str, days: int = 1) -> NewToken:
    new = await tokens.create(
        label="desk", scopes=scopes or ("decisions:read",), days=days, who="ben", why="asked for in T-9"
    )
    assert isinstance(new, NewToken)
    return new


def audit(store: AccountStore) -> list[tuple[object, ...]]:
    return rows(store, "SELECT at, who, action, account, after, why FROM audit ORDER BY number")


async def test_a_token_that_was_made_is_believed_until_it_expires(tokens: ServiceTokens, clock: SetClock) -> None:
    new = await made(tokens, "decisions:read", "metrics:read", days=2)
    found = await tokens.check(new.text, clock.at + 2 * DAY - 1)
    assert found == new.token
    assert found == ServiceToken(
        found.token_id, "desk", frozenset({"decisions:read", "metrics:read"}), "ben", clock.at, clock.at + 2 * DAY, None
    )
    assert await tokens.check(new.text, clock.at + 2 * DAY) is None


async def test_a_revoked_token_opens_nothing_from_the_next_check_on(tokens: ServiceTokens, clock: SetClock) -> None:
    new = await made(tokens)
    clock.at += 5
    revoked = await tokens.revoke(new.token.token_id, who="ben", why="lost")
    assert revoked == new.token._replace(revoked_at=clock.at)
    assert await tokens.check(new.text, clock.at) is None
    clock.at += 5
    assert await tokens.revoke(new.token.token_id, who="ben", why="again") == revoked


async def test_another_secret_or_another_id_is_not_believed(tokens: ServiceTokens, clock: SetClock) -> None:
    one, other = await made(tokens), await made(tokens)
    a, b = read_token(one.text), read_token(other.text)
    assert a is not None
    assert b is not None
    for text in (
        f"gwt_{a.token_id}_{b.secret}",
        f"gwt_{'0' * 12}_{a.secret}",
        one.text[:-1] + ("A" if one.text[-1] != "A" else "B"),
        one.text.removeprefix("gwt_"),
        "",
    ):
        assert await tokens.check(text, clock.at) is None, text
    assert await tokens.check(one.text, clock.at) == one.token


@ON_A_FILE
async def test_the_secret_is_nowhere_in_the_store(tokens: ServiceTokens, store: AccountStore) -> None:
    new = await made(tokens)
    secret = new.text.rpartition(f"{new.token.token_id}_")[2]
    with closing(sqlite3.connect(file_of(store))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = file_of(store).read_bytes()
    assert secret.encode() not in kept
    assert hashlib.sha256(secret.encode()).digest() in kept


async def test_making_and_revoking_stand_in_the_audit_with_who_and_why(
    tokens: ServiceTokens, store: AccountStore, clock: SetClock
) -> None:
    new = await made(tokens)
    await tokens.revoke(new.token.token_id, who="eve", why="lost")
    await tokens.revoke(new.token.token_id, who="eve", why="lost again")
    (at, who, action, account, after, why), revoked = audit(store)
    assert (at, who, action, account, why) == (clock.at, "ben", "token.create", "", "asked for in T-9")
    assert isinstance(after, str)
    assert new.token.token_id in after
    assert "decisions:read" in after
    assert revoked[1:4] + revoked[5:] == ("eve", "token.revoke", "", "lost")


async def test_an_unmasking_stands_in_the_history_of_the_account(tokens: ServiceTokens, store: AccountStore) -> None:
    await store.put("alice", who="import", why="moved in")
    seen = [Unmasked("0197-a", "alice"), Unmasked("0197-b", None)]
    assert await tokens.note_unmasked("token desk", "TICKET-7", seen) is None
    newest = (await store.history("alice"))[0]
    assert (newest.action, newest.who, newest.why) == ("decision.unmask", "token desk", "TICKET-7")
    assert newest.after == {"decision": "0197-a"}
    assert audit(store)[-1][3:5] == ("", '{"decision": "0197-b"}')


@pytest.mark.parametrize("why", ["", "  ", "two\nlines", "x" * 2001])
async def test_an_unmasking_without_a_reason_is_refused_whole(
    tokens: ServiceTokens, store: AccountStore, why: str
) -> None:
    refused = await tokens.note_unmasked("desk", why, [Unmasked("0197-a", "alice")])
    assert isinstance(refused, Refused)
    assert refused.what == "why"
    assert audit(store) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"scopes": ["decisions:write"]}, "`decisions:write` is no scope; the scopes are accounts:read, "),
        ({"scopes": []}, "a token opens something"),
        ({"scopes": ["tickets:approve"]}, "`tickets:approve` is no scope"),
        ({"label": "two\nlines"}, "one line of 1 to 100"),
        ({"days": 0}, "1 to 366 days"),
        ({"days": 367}, "1 to 366 days"),
        ({"why": ""}, "every change says why"),
        ({"who": " "}, "every change says who"),
    ],
)
async def test_what_cannot_be_a_token_is_refused_and_nothing_written(
    tokens: ServiceTokens, store: AccountStore, changes: dict[str, object], what: str
) -> None:
    asked: dict[str, object] = {"label": "desk", "scopes": ["metrics:read"], "days": 1, "who": "ben", "why": "T-9"}
    refused = await tokens.create(**(asked | changes))  # type: ignore[arg-type]
    assert isinstance(refused, Refused)
    assert what in refused.message
    assert await tokens.tokens() == []
    assert audit(store) == []


async def test_a_personal_token_is_somebodys_with_roles(tokens: ServiceTokens, store: AccountStore) -> None:
    new = await tokens.create_personal(person=" Ann  Lee ", roles=["support", "approver"], days=1, who="ben", why="T-9")
    assert isinstance(new, NewToken)
    found = await tokens.check(new.text, 0)
    assert found == new.token
    assert found is not None
    assert found.identity == Person("Ann Lee", frozenset({Role.SUPPORT, Role.APPROVER}))
    (entry,) = audit(store)
    assert entry[1:4] == ("ben", "token.create", "")
    assert json.loads(str(entry[4])) == {
        "token": found.token_id,
        "label": "personal",
        "person": "Ann Lee",
        "roles": ["approver", "support"],
    }


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"roles": []}, "a person has a role"),
        ({"roles": ["support", "boss"]}, "`boss` is no role; the roles are viewer, auditor"),
        ({"person": "two\nlines"}, "a person's name is one line"),
        ({"person": " "}, "a person's name is one line"),
        ({"days": 367}, "1 to 366 days"),
        ({"why": ""}, "every change says why"),
    ],
)
async def test_what_cannot_be_a_person_is_refused_and_nothing_written(
    tokens: ServiceTokens, store: AccountStore, changes: dict[str, object], what: str
) -> None:
    asked: dict[str, object] = {"person": "ann", "roles": ["support"], "days": 1, "who": "ben", "why": "T-9"}
    refused = await tokens.create_personal(**(asked | changes))  # type: ignore[arg-type]
    assert isinstance(refused, Refused)
    assert what in refused.message
    assert await tokens.tokens() == []
    assert audit(store) == []


@ON_A_FILE
async def test_a_role_that_this_code_does_not_know_opens_nothing(tokens: ServiceTokens, store: AccountStore) -> None:
    new = await tokens.create_personal(person="ann", roles=["viewer"], days=1, who="ben", why="T-9")
    assert isinstance(new, NewToken)
    with closing(sqlite3.connect(file_of(store))) as database, database:
        database.execute("UPDATE service_tokens SET roles = 'emperor viewer'")
    found = await tokens.check(new.text, 0)
    assert found is not None
    assert found.roles == {Role.VIEWER}


async def test_tokens_are_listed_the_newest_first(tokens: ServiceTokens, clock: SetClock) -> None:
    first = await made(tokens)
    clock.at += 1
    second = await made(tokens)
    assert [one.token_id for one in await tokens.tokens()] == [second.token.token_id, first.token.token_id]


async def test_revoking_what_is_not_there_says_where_to_look(tokens: ServiceTokens) -> None:
    refused = await tokens.revoke("é\n", who="ben", why="x")
    assert isinstance(refused, Refused)
    assert refused.message == r"there is no token `\xe9\n`; `gateway token list` shows their ids"


@ON_A_FILE
async def test_a_store_that_is_away_believes_nobody(tokens: ServiceTokens, store: AccountStore) -> None:
    new = await made(tokens)
    file_of(store).unlink()
    with pytest.raises(StoreUnavailable):
        await tokens.check(new.text, 0)
