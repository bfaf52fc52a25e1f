from pathlib import Path

import pytest

from gateway.app.plan import Plan
from gateway.app.terms import read_pseudonyms, terms_of, workers_of
from gateway.core.errors import ConfigError
from gateway.core.pseudonyms import Pseudonyms
from gateway.ports import Keep

KEY = b"0123456789abcdef" * 4
PLAN = Plan("journal", "sqlite:///decisions.db", 60, None, 30)


@pytest.fixture
def key(tmp_path: Path) -> str:
    (tmp_path / "digest.key").write_bytes(KEY + b"\n")
    return str(tmp_path / "digest.key")


def test_what_is_kept_for_ever_has_no_time() -> None:
    assert terms_of(PLAN).keep_us == {}
    terms = terms_of(PLAN._replace(keep_money_s=5, keep_rest_s=2), 0.25)
    assert terms.keep_us == {Keep.MONEY: 5_000_000, Keep.REST: 2_000_000}
    assert (terms.warn_behind_us, terms.share) == (30_000_000, 0.25)


def test_digests_are_made_at_once_later_or_never(key: str) -> None:
    never = terms_of(PLAN._replace(digest_key=key))
    assert (never.pseudonyms, never.erases_later) == (None, False)
    at_once = terms_of(PLAN._replace(digest_key=key, personal="digest"))
    assert at_once.pseudonyms is not None
    assert at_once.pseudonyms.account("alice") == Pseudonyms(KEY).account("alice")
    assert not at_once.erases_later
    later = terms_of(PLAN._replace(digest_key=key, keep_personal_s=3600))
    assert (later.keep_personal_us, later.erases_later) == (3_600_000_000, True)


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="openssl rand"):
        terms_of(PLAN._replace(personal="digest"))
    with pytest.raises(ConfigError, match=r"digest_key: .*absent: No such file"):
        read_pseudonyms(tmp_path / "absent")


def test_workers_are_those_of_whom_a_segment_is_there(tmp_path: Path) -> None:
    for name in ("w1-7-00000001.gwj", "w1-7-00000002.gwj", "w2-8-00000001.gwj", "w3-9.lock", "seals.ndjson"):
        (tmp_path / name).touch()
    assert workers_of(tmp_path) == {"w1-7", "w2-8"}
