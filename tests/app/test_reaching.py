"""What is configured is tried, each place by itself, and what is there is left as it is."""

import socket

from gateway.adapters.sql import AccountStore
from gateway.app.reaching import reached
from gateway.config import load


async def tried(site, more: str = "") -> dict[str, tuple[str, str | None]]:
    site.config.write_text(site.config.read_text() + more)
    return {one.key: (one.place, one.fault) async for one in reached(load(site.config))}


async def test_each_place_is_tried_and_named_without_its_password(site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as up, socket.create_server(("127.0.0.1", 0)) as gone:
        there, away = up.getsockname()[1], gone.getsockname()[1]
        gone.close()
        text = site.config.read_text().replace(
            'ship = "off"', f'ship = "off"\nurl = "postgresql://me:hunter2@127.0.0.1:{away}/a"'
        )
        site.config.write_text(text)
        found = await tried(site, f'\n[upstream]\nurl = "http://127.0.0.1:{there}"\n')
    assert found["upstream.url"] == (f"http://127.0.0.1:{there}", None)
    place, fault = found["archive.url"]
    assert (place, bool(fault)) == (f"postgresql://127.0.0.1:{away}", True)
    assert "hunter2" not in str(found)


async def test_a_store_that_is_not_there_yet_is_not_made_and_one_that_is_is_opened(site) -> None:
    found = await tried(site)
    assert found["store.url"][1] is None
    assert not (site.folder / "gateway.db").exists()
    store = AccountStore(load(site.config).store.url)
    await store.start()
    await store.close()
    assert (await tried(site))["store.url"][1] is None
    (site.folder / "gateway.db").write_bytes(b"no database at all" * 100)
    assert (await tried(site))["store.url"][1] is not None


async def test_keys_are_fetched(site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    site.config.write_text(site.config.read_text().replace("jwks.json", f"http://127.0.0.1:{port}/jwks"))
    place, fault = (await tried(site))["identity.jwks"]
    assert place == f"http://127.0.0.1:{port}"
    assert fault is not None


async def test_each_sentinel_is_tried(site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as up, socket.create_server(("127.0.0.1", 0)) as gone:
        there, away = up.getsockname()[1], gone.getsockname()[1]
        gone.close()
        url = f"redis+sentinel://127.0.0.1:{there},127.0.0.1:{away}/gw"
        site.config.write_text(f'{site.config.read_text()}\n[store.redis]\nurl = "{url}"\n')
        found = [one async for one in reached(load(site.config)) if one.key == "store.redis.url"]
    assert [(one.place, one.fault is None) for one in found] == [
        (f"127.0.0.1:{there}", True),
        (f"127.0.0.1:{away}", False),
    ]
