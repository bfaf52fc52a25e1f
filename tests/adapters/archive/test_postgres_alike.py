"""The archive in PostgreSQL, read through: beyond what every archive does alike."""

import pytest

from gateway.adapters.archive.alike import HeldMoment
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_alike import _EACH, _account, _asn
from gateway.adapters.archive.postgres_ruling import terms_of
from gateway.adapters.archive.postgres_schema import day_start
from gateway.core.search import findable
from tests.contract.stretches import AT, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

DAY = 86_400_000_000
ALWAYS = (0, 1 << 62)


@pytest.mark.parametrize("account", ["alice", "älice", "a\\b", "a\0b", "\ud800", "a:b"])
def test_an_account_is_read_as_it_was(account: str) -> None:
    ruling = {
        "client_ip": {"address": None},
        "operation": "view",
        "facts": {"account": account, "asn": 64500},
        "unknown": {},
        "verdict": {"outcome": "allow", "by": [], "reason": None},
        "bundle": "b",
        "reply": {"reason": None},
    }
    terms = terms_of(findable(ruling))
    assert _account(terms[0].removeprefix("account:")) == account
    assert _asn(terms[-1]) == (64500).to_bytes(4, "big")


def test_where_there_is_none_there_is_none() -> None:
    assert (_account(None), _asn(None)) == (None, None)


async def test_decisions_of_a_ruling_are_sought_in_its_own_day_by_index_though_nothing_is_known_of_the_table(
    postgres_database: str,
) -> None:
    documents = [ruling(account=f"u{n}") for n in range(40)]
    days = [AT + day * DAY for day in range(3)]
    piece = stretch(
        [decision(n, documents[n % 40], at + n * 1000) for at in days for n in range(200)],
        documents,
    )
    archive = PostgresArchive(postgres_database)
    await archive.start()
    await archive.take(piece)

    async with archive.moment() as moment:
        alike = [one async for some in moment.alike(*ALWAYS) for one in some]
        numbers = [one.ruling for one in alike]
        found = await moment.each(numbers, *ALWAYS)
        day = days[1] // DAY
        bounds = (day_start(day), day_start(day + 1), *ALWAYS)
        # Of tables that were filled just now there are no statistics: the server guesses.
        rows = await moment._connection.fetch(f"EXPLAIN {_EACH}", numbers, *bounds)
        each = "\n".join(row[0] for row in rows)
    await archive.close()

    held = await HeldMoment.of(piece).each(range(40), *ALWAYS)
    assert sorted((one.id, one.at, one.auth_age) for one in found) == sorted(
        (one.id, one.at, one.auth_age) for one in held
    )
    of_ruling: dict[int, set[int]] = {}
    for one in found:
        of_ruling.setdefault(one.ruling, set()).add(one.at // DAY)
    assert sorted(map(len, of_ruling.values())) == [1] * 120
    assert each.count(f"decisions_{day}") >= 1
    assert f"decisions_{day + 1}" not in each
    assert "Seq Scan" not in each
