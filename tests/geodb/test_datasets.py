"""Where data comes from is recorded beside it, and what its licence asks is said."""

from datetime import date
from pathlib import Path

import pytest

from geodb.datasets import (
    ATTRIBUTION,
    MANIFEST,
    SHIPPED,
    Dataset,
    attribution,
    datasets,
    licence_of,
    manifest,
    record,
)
from geodb.edition import BadEdition
from geodb.reader import Reader
from geodb.record import GeoRecord

ONE = Dataset(
    name="b-country",
    title='A "country" set, né\n',
    file="country.mmdb",
    source="https://example.org",
    licence="CC-BY-4.0",
    attribution="[By Example](https://example.org)",
    changes="None.",
    date=date(2026, 6, 1),
    sha256="ab" * 32,
)  # fmt: skip
OTHER = ONE._replace(name="a-asn", file="asn.mmdb")


def test_what_is_recorded_is_read_back_in_order_of_name(tmp_path: Path) -> None:
    record(tmp_path, ONE)
    record(tmp_path, OTHER)
    assert datasets(tmp_path) == (OTHER, ONE)
    record(tmp_path, ONE._replace(sha256="cd" * 32))
    assert datasets(tmp_path) == (OTHER, ONE._replace(sha256="cd" * 32))
    assert (tmp_path / ATTRIBUTION).read_text() == attribution(datasets(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [ATTRIBUTION, MANIFEST]


def test_a_data_set_dates_from_midnight_utc() -> None:
    assert ONE.built_at == 1_780_272_000


@pytest.mark.parametrize("text", ["not toml", "[x]\ntitle = 'alone'\n", "[x]\nunheard_of = 1\n"])
def test_a_manifest_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BadEdition, match=r"datasets\.toml: not a manifest of data sets"):
        datasets(tmp_path)


def test_the_attribution_says_all_that_the_licence_asks() -> None:
    text = attribution([ONE])
    for said in (ONE.title, ONE.attribution, ONE.licence, ONE.source, "2026-06-01", ONE.changes, ONE.sha256):
        assert said in text


def test_the_shipped_files_are_those_of_the_manifest_and_small() -> None:
    known = datasets()
    assert {one.file for one in known} == {path.name for path in SHIPPED.glob("*.mmdb")} == {"asn.mmdb", "country.mmdb"}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 20_000_000
    for one in known:
        edition = Reader.open(SHIPPED / one.file).edition
        assert (edition.name, edition.sha256, edition.built_at) == (one.name, one.sha256, one.built_at)
        assert one.licence == "CC-BY-4.0"
        assert licence_of(edition) == one
        assert licence_of(edition._replace(sha256="")) is None


def test_the_shipped_attribution_is_what_the_generator_prints() -> None:
    assert (SHIPPED / ATTRIBUTION).read_text("utf-8") == attribution(datasets())
    assert (SHIPPED / MANIFEST).read_text("utf-8") == manifest(datasets())


@pytest.mark.parametrize(
    ("address", "country", "asn"),
    [("8.8.8.8", "US", 15169), ("193.0.6.139", "NL", 3333), ("185.220.101.1", "DE", 60729), ("2003:c0::1", "DE", 3320)],
)
def test_the_shipped_editions_know_the_world(address: str, country: str, asn: int) -> None:
    assert Reader.open(SHIPPED / "country.mmdb").read(address) == GeoRecord(country)
    found = Reader.open(SHIPPED / "asn.mmdb").read(address)
    assert isinstance(found, GeoRecord)
    assert found.asn == asn
