"""Redis as it is written."""

import re

import pytest

from gateway.config.sharing import Address, address_of

LEAST = "[client_ip]\ntrusted_proxies = []\n"
HERE = (("127.0.0.1", 6379),)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("server", False, (("cache", 6379),))),
        ("redis://Cache.example:6380/", Address("server", False, (("cache.example", 6380),))),
        ("rediss://10.0.0.7:6380/3", Address("server", True, (("10.0.0.7", 6380),), database=3)),
        ("redis://[::1]:6379", Address("server", False, (("::1", 6379),))),
        ("redis+sentinel://a,b:1/gw", Address("sentinel", False, (("a", 26_379), ("b", 1)), "gw")),
        ("rediss+sentinel://a/gw/2", Address("sentinel", True, (("a", 26_379),), "gw", 2)),
        ("redis+cluster://a,b:7000", Address("cluster", False, (("a", 6379), ("b", 7000)))),
    ],
)
def test_a_url_says_where_it_is(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("cache:6379", "write `redis://HOST:6379`"),
        ("redis+sentinal://a/gw", "did you mean `redis+sentinel`?"),
        ("redis://user:pw@cache", "must not carry credentials"),
        ("redis://cache?ssl=true", "takes no options"),
        ("redis://a,b", "did you mean `redis+sentinel://` or `redis+cluster://`?"),
        ("redis+sentinel://a", "the name of what they watch"),
        ("redis+sentinel://a/g w", "characters that no URL has"),
        ("redis+cluster://a/1", "a cluster has one database"),
        ("redis://a/x", "`/x` is not a database"),
        ("redis://a:99999", "is not a server"),
        ("redis://", "is not a server"),
        ("redis+cluster://" + ",".join("abcdefghij" * 4), "32 are the most"),
    ],
)
def test_what_leads_nowhere_is_refused_with_what_was_meant(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        address_of(url)


def test_a_url_alone_is_enough_and_an_empty_one_is_none(load_text) -> None:
    assert load_text(LEAST).store.redis is None
    assert load_text(LEAST + '[store]\nredis = ""').store.redis is None
    redis = load_text(LEAST + '[store]\nredis = "redis://cache"').store.redis
    assert redis.model_dump(exclude_none=True) == {
        "url": "redis://cache",
        "cache_for_s": 60,
        "prefix": "gateway",
        "timeout_ms": 50,
        "connect_timeout_ms": 1000,
        "connections": 16,
    }
    assert load_text(LEAST, {"GATEWAY_STORE__REDIS": "redis://a"}).store.redis.url == "redis://a"
    assert load_text(LEAST, {"GATEWAY_STORE__REDIS__URL": "redis://b"}).store.redis.url == "redis://b"


def test_everything_can_be_said(load_text, tmp_path) -> None:
    for name in ("ca", "cert", "key", "password", "sentinels"):
        (tmp_path / name).write_text("x")
    (tmp_path / "cache").write_text("k" * 64)
    redis = load_text(
        LEAST
        + """
        [store.redis]
        url = "rediss+sentinel://a,b/gw"
        username = "gateway"
        password_file = "password"
        sentinel_password_file = "sentinels"
        ca_file = "ca"
        cert_file = "cert"
        key_file = "key"
        cache_key_file = "cache"
        cache_for = "5m"
        prefix = "exchange:gateway"
        timeout = "20ms"
        connect_timeout = "2s"
        connections = 4
        """
    ).store.redis
    assert redis.cache_key_file == tmp_path / "cache"
    assert (redis.cache_for_s, redis.timeout_ms, redis.connect_timeout_ms) == (300, 20, 2000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "redis://a"\nca_file = "gateway.toml"', "`ca_file` is about TLS, and `url` has none"),
        ('url = "redis://a"\npassword_file = "gateway.toml"', "would cross the network to `a` in the clear"),
        ('url = "rediss://a"\ncert_file = "gateway.toml"', "`cert_file` and `key_file` belong together"),
        ('url = "rediss://a"\nusername = "x"', "`username` needs `password_file`"),
        ('url = "rediss://a"\nsentinel_password_file = "gateway.toml"', "is for `redis+sentinel://`"),
        ('url = "redis://localhost"\npassword_file = "none"', "store.redis.password_file: no such file"),
        ('url = "rediss://localhost"\nca_file = "none"', "store.redis.ca_file: no such file"),
        ('url = "redis://a"\ncache_key_file = "short"', "and 32 or more of randomness are needed"),
        ('url = "redis://a"\nprefix = "a b"', "letters, digits"),
        ('url = "redis://a"\ntimeout = "2s"', "store.redis.timeout: should be less than or equal to 1000"),
        ('url = "redis://a"\ntimout = "2s"', "did you mean `timeout`?"),
    ],
)
def test_what_cannot_work_is_refused(refusal, tmp_path, text: str, said: str) -> None:
    (tmp_path / "short").write_text("k" * 31)
    assert said in "\n".join(refusal(f"{LEAST}[store.redis]\n{text}"))


def test_a_password_may_cross_this_machine(load_text, tmp_path) -> None:
    (tmp_path / "password").write_text("x")
    assert load_text(LEAST + '[store.redis]\nurl = "redis://127.0.0.1"\npassword_file = "password"').store.redis
