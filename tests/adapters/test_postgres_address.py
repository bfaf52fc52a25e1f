from pathlib import Path

import pytest

from gateway.adapters.postgres_address import FAULTS, PostgresAddress
from gateway.core.errors import ConfigError
from tests.postgres_server import running, say


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://gw:hunter2@db.internal:5432/gateway", "db.internal:5432/gateway"),
        ("postgresql://gw:hunter2@one:5432,two:5432/gateway", "one:5432,two:5432/gateway"),
        ("postgresql://gw:hunt%40er2@db/gateway?sslmode=verify-full", "db/gateway"),
        ("postgresql://gw:hunt@er2@db/gateway", "db/gateway"),
        ("postgresql:///gateway?host=%2Frun%2Fpostgresql&user=gw&password=hunter2", "/run/postgresql/gateway"),
    ],
)
def test_what_people_see_of_an_address_is_host_and_database(url: str, name: str) -> None:
    assert PostgresAddress.of(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gw:hunt/er2@db/gateway",
        "postgresql://gw:hunt?er2@db/gateway",
        "postgresql://gw:hunt#er2@db/gateway",
        "postgresql:hunter2",
        "hunter2",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="store url") as refused:
        PostgresAddress.of(url)
    assert "hunt" not in str(refused.value)
    assert "er2" not in str(refused.value)


def test_the_file_with_the_password_is_ours_and_the_rest_is_the_drivers() -> None:
    address = PostgresAddress.of("postgresql://gw@db/gateway?sslmode=verify-full&password_file=%2Frun%2Fpw")
    assert address.password_file == Path("/run/pw")
    assert address.dsn == "postgresql://gw@db/gateway?sslmode=verify-full"
    assert PostgresAddress.of("postgresql:///gateway?host=%2Frun").dsn == "postgresql:///gateway?host=%2Frun"


@pytest.mark.parametrize("port", ["hunter2", "70000"])
async def test_what_cannot_be_an_address_is_said_without_repeating_it(port: str) -> None:
    with pytest.raises(FAULTS) as fault:
        await PostgresAddress.of(f"postgresql://gw@127.0.0.1:{port}/gateway").connect()
    assert "hunter2" not in str(fault.value).replace(f"127.0.0.1:{port}/gateway", "")


async def test_the_password_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with running() as server:
        await say(server.url(), "CREATE ROLE guarded LOGIN PASSWORD 'first'")
        server.demand_password("guarded")
        await say(server.url(), "SELECT pg_reload_conf()")
        url = server.url().replace("postgres@", "guarded@")
        address = PostgresAddress.of(f"{url}&password_file={file}")
        for password in ("first", "second"):
            await say(server.url(), f"ALTER ROLE guarded PASSWORD '{password}'")
            file.write_text("wrong")
            with pytest.raises(FAULTS, match="password authentication failed"):
                await address.connect()
            file.write_text(f"{password}\n")
            connection = await address.connect(search_path="gateway")
            assert await connection.fetchval("SHOW search_path") == "gateway"
            await connection.close()
