import asyncio
import contextlib
import json

import jwt

from gateway.cli import demo
from gateway.config import load


def test_the_demos_configuration_loads(tmp_path) -> None:
    demo._key(tmp_path)
    config = tmp_path / "gateway.toml"
    config.write_text(
        demo._CONFIG.format(issuer="https://i.invalid", audience="a", port=1, admin=2, upstream="http://127.0.0.1:2")
    )
    settings = load(config)
    assert settings.upstream.url == "http://127.0.0.1:2"
    assert settings.admin.port == 2


def test_the_key_stays_the_same_from_one_start_to_the_next(tmp_path) -> None:
    first, second = demo._key(tmp_path), demo._key(tmp_path)
    assert first.public_key() == second.public_key()
    assert (tmp_path / "signing-key.pem").stat().st_mode & 0o777 == 0o600
    published = json.loads((tmp_path / "jwks.json").read_text())["keys"]
    assert [(key["kid"], "d" in key) for key in published] == [("demo", False)]


def test_every_customer_has_a_fresh_token_and_alice_an_old_one(tmp_path) -> None:
    key = demo._key(tmp_path)

    async def mint() -> None:
        # It mints before it first waits.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(demo._mint_for_ever(tmp_path, key), 0.01)

    asyncio.run(mint())
    ages = {}
    for name in (*demo._CUSTOMERS, "alice-earlier"):
        token = (tmp_path / f"{name}.jwt").read_text()
        claims = jwt.decode(token, key.public_key(), ["EdDSA"], audience=demo._AUDIENCE, issuer=demo._ISSUER)
        ages[name] = claims["iat"] - claims["auth_time"]
    assert ages.pop("alice-earlier") == 3600
    assert set(ages.values()) == {0}


def test_what_is_printed_names_a_request_for_each_status(tmp_path) -> None:
    printed = "\n".join(demo._to_try("http://127.0.0.1:8080", tmp_path))
    for status in ("200", "201", "400", "401", "403", "451"):
        assert f": {status}" in printed or f" {status}" in printed
