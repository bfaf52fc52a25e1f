from pathlib import Path

import pytest

from gateway.config.store_url import postgres_url

LEAST = "[client_ip]\ntrusted_proxies = []\n"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gw@localhost/gateway",
        "postgresql://gw@127.0.0.1:5432/gateway",
        "postgresql://gw@[::1]:5432/gateway",
        "postgresql:///gateway?host=%2Frun%2Fpostgresql",
        "postgresql://gw:pass%40word@one:5432,two:5432/gateway?sslmode=verify-full",
        "postgresql://gw@db/gateway?sslmode=disable",
    ],
)
def test_a_url_stays_as_it_is_said(url: str) -> None:
    assert postgres_url(url, None, None) == url


def test_files_become_a_part_of_the_url(load_text, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "ca.pem").write_text("a certificate")
    text = '[store]\nurl = "postgresql://gw@db/gateway"\npassword_file = "pw"\nca_file = "ca.pem"\n'
    settings = load_text(LEAST + text)
    folder = str(tmp_path).replace("/", "%2F")
    assert settings.store.url == (
        f"postgresql://gw@db/gateway?sslmode=verify-full&password_file={folder}%2Fpw&sslrootcert={folder}%2Fca.pem"
    )
    assert settings.archive_url == settings.store.url
    assert "hunter2" not in repr(settings)


def test_a_weaker_proof_than_the_whole_one_is_said() -> None:
    url = postgres_url("postgresql://gw@db/gateway?sslmode=verify-ca", None, Path("/ca.pem"))
    assert url == "postgresql://gw@db/gateway?sslmode=verify-ca&sslrootcert=%2Fca.pem"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://gw:hunt/er2@db/gateway", "a character that ends it"),
        ("postgresql://gw:hunt?er2@db/gateway", "a character that ends it"),
        ("postgresql://gw:hunt#er2@db/gateway", "a character that ends it"),
        ("postgresql://gw:hunter2@db/gateway", "goes over a network"),
        ("postgresql://gw:hunter2@localhost,db/gateway", "goes over a network"),
        ("postgresql://gw:hunter2@db/gateway?sslmode=prefer", "goes over a network"),
        ("postgresql://gw:hunter2@db/?sslmode=disable", "must be `sqlite:///PATH` or"),
        ("postgresql:///gateway", "must be `sqlite:///PATH` or"),
    ],
)
def test_what_could_be_read_in_two_ways_or_over_the_wire_is_refused_without_its_password(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        postgres_url(url, None, None)
    assert "hunt" not in str(refused.value)
    assert "er2" not in str(refused.value)


def test_one_password_is_enough() -> None:
    with pytest.raises(ValueError, match="keep one of them"):
        postgres_url("postgresql://gw:hunter2@localhost/gateway", Path("/pw"), None)


def test_a_password_file_that_is_empty_is_said(load_text, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("\n")
    with pytest.raises(Exception, match=r"store\.password_file: .* is empty"):
        load_text(LEAST + '[store]\nurl = "postgresql://gw@localhost/gateway"\npassword_file = "pw"\n')
