"""A new edition proves itself before it takes the place of the old; a bad one changes nothing and says why."""

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from geodb import update as module
from geodb.datasets import SHIPPED
from geodb.edition import BadEdition
from geodb.reader import Reader
from geodb.record import GeoRecord
from geodb.update import FEWEST, SENTINELS, Share

Make = Callable[..., Path]
World = Callable[..., dict[str, Any]]
DAY = 86_400
BUILT_AT = 1_780_272_000

# As many addresses as these small worlds need.
update = partial(module.update, sample=1 << 12)
verify = partial(module.verify, sample=1 << 12)


@pytest.fixture
def destination(tmp_path: Path, make: Make, world: World) -> Path:
    """A running edition, in a folder of its own."""
    (tmp_path / "live").mkdir()
    return make(world(), name="live/country.mmdb")


def test_the_first_edition_needs_no_other(make: Make, world: World, tmp_path: Path) -> None:
    report = update(make(world()), tmp_path / "country.mmdb")
    assert (report.problems, report.running, report.v4, report.v6) == ((), None, None, None)
    assert Reader.open(tmp_path / "country.mmdb").read("8.8.8.8") == GeoRecord("US")


def test_a_good_edition_is_taken_and_nothing_else_is_left(make: Make, world: World, destination: Path) -> None:
    candidate = make(world(share=66), name="new.mmdb", built_at=BUILT_AT + DAY)
    running = Reader.open(destination)
    report = update(candidate, destination)
    assert report.problems == ()
    assert (report.candidate.path, report.running) == (candidate, running.edition)
    assert report.v4 is not None
    assert 0 < report.v4.part < 0.03
    assert destination.read_bytes() == candidate.read_bytes()
    assert [path.name for path in destination.parent.iterdir()] == ["country.mmdb"]
    assert running.read("8.8.8.8") == GeoRecord("US"), "who has the old file open keeps it"


def _misplaced(world: World) -> dict[str, Any]:
    records = world()
    for sentinel in SENTINELS[:4]:
        records[f"{sentinel.address}/32"] = {"country": {"iso_code": "AQ"}}
    return records


REFUSED = [
    ("older", {"built_at": BUILT_AT - DAY}, lambda world: world(),
     "built on 2026-05-31, before the running edition of 2026-06-01"),
    ("another world", {}, lambda world: world(share=90),
     r"2\d\.\d% of the IPv4 space changes its answer .* more than 5.0%"),
    ("misplaced", {}, _misplaced, "wrong place: 8.8.8.8 is AQ instead of US; 17.1.1.1 is AQ instead of US"),
    ("private addresses placed", {}, lambda world: world() | {"192.168.0.0/16": {"country": {"iso_code": "AU"}}},
     "addresses that are nowhere have a place: 192.168.1.1 in AU"),
    ("another type", {"database_type": "GeoLite2-ASN"},
     lambda world: {cidr: {"autonomous_system_number": 1} for cidr in world()},
     "a `GeoLite2-ASN` database holds no country, which the running `GeoLite2-Country` does"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "records", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_edition_that_fails_a_check_changes_nothing_and_says_why(
    make: Make,
    world: World,
    destination: Path,
    made: dict[str, Any],
    records: Callable[[World], dict[str, Any]],
    why: str,
) -> None:
    before = destination.read_bytes()
    report = update(make(records(world), name="new.mmdb", **made), destination)
    assert len(report.problems) >= 1
    assert any(re.search(why, problem) for problem in report.problems), report.problems
    assert destination.read_bytes() == before
    assert [path.name for path in destination.parent.iterdir()] == ["country.mmdb"]


def test_every_reason_is_said_at_once(make: Make, world: World, destination: Path) -> None:
    records = _misplaced(world) | {f"{first}.0.0.0/8": {"country": {"iso_code": "AQ"}} for first in range(16, 100)}
    report = update(make(records, name="new.mmdb", built_at=BUILT_AT - DAY), destination)
    assert len(report.problems) == 3


def test_an_operator_may_allow_a_greater_change(make: Make, world: World, destination: Path) -> None:
    candidate = make(world(share=90), name="new.mmdb")
    assert update(candidate, destination).problems
    assert not update(candidate, destination, largest_change=0.5).problems


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_file_that_is_no_database_changes_nothing(tmp_path: Path, destination: Path, content: bytes) -> None:
    before = destination.read_bytes()
    (tmp_path / "bad.mmdb").write_bytes(content)
    with pytest.raises(BadEdition, match=r"bad\.mmdb: not a readable MaxMind-format database") as refused:
        update(tmp_path / "bad.mmdb", destination)
    assert ".partial" not in str(refused.value)
    assert destination.read_bytes() == before
    assert [path.name for path in destination.parent.iterdir()] == ["country.mmdb"]


def test_a_candidate_or_a_folder_that_is_not_there_is_said(tmp_path: Path, make: Make, world: World) -> None:
    with pytest.raises(BadEdition, match=r"none\.mmdb: cannot be copied: No such file"):
        update(tmp_path / "none.mmdb", tmp_path / "country.mmdb")
    with pytest.raises(BadEdition, match="cannot be copied: No such file"):
        update(make(world()), tmp_path / "no-folder" / "country.mmdb")


def test_a_link_is_followed_to_the_file_that_is_in_use(
    make: Make, world: World, destination: Path, tmp_path: Path
) -> None:
    link = tmp_path / "current.mmdb"
    link.symlink_to(destination)
    update(make(world(share=65), name="new.mmdb"), link)
    assert link.is_symlink()
    assert destination.read_bytes() == (tmp_path / "new.mmdb").read_bytes()


def test_a_database_of_a_few_networks_may_change_as_it_likes(make: Make) -> None:
    running = Reader.open(make({"81.2.69.0/24": {"country": {"iso_code": "GB"}}}, name="old.mmdb"))
    candidate = Reader.open(make({"81.2.69.0/24": {"country": {"iso_code": "SE"}}}, name="new.mmdb"))
    report = verify(candidate, running)
    assert report.v4 is not None
    assert report.v4.compared < FEWEST
    assert report.problems == ()


def test_without_a_running_edition_the_well_known_must_be_known(make: Make) -> None:
    candidate = Reader.open(make({"81.2.69.0/24": {"country": {"iso_code": "GB"}}}))
    assert "8.8.8.8 is nowhere instead of US" in verify(candidate, None).problems[0]


def test_an_asn_edition_is_measured_by_its_numbers(make: Make) -> None:
    def records(other: int) -> dict[str, Any]:
        return {f"{first}.0.0.0/8": {"autonomous_system_number": other if first < 30 else 1} for first in range(16, 120)
                if first != 100}  # fmt: skip

    old, new = (Reader.open(make(records(other), "GeoLite2-ASN", name=f"{other}.mmdb")) for other in (1, 2))
    assert verify(old, old).problems == ()
    assert "1" in verify(new, old).problems[0]
    placed = Reader.open(make(records(1) | {"10.0.0.0/8": {"autonomous_system_number": 7}}, "GeoLite2-ASN"))
    assert verify(placed, None).problems == ("addresses that are nowhere have a place: 10.0.0.1 in AS7",)


def test_anonymizers_are_measured_by_their_flags(make: Make) -> None:
    old = {f"{first}.0.0.0/8": {"is_tor_exit_node": True} for first in range(16, 99)}
    new = {cidr: {"is_hosting_provider": True} for cidr in old}
    readers = [
        Reader.open(make(records, "GeoIP2-Anonymous-IP", name=f"{n}.mmdb")) for n, records in enumerate((old, new))
    ]
    share = verify(readers[1], readers[0]).v4
    assert share is not None
    assert share.part == 1.0


def test_subdivisions_alone_are_measured_too(make: Make) -> None:
    def records(code: str) -> dict[str, Any]:
        return {f"{first}.0.0.0/8": {"region_code": code, "country": "US"} for first in range(16, 99)}

    readers = [Reader.open(make(records(code), "regions", name=f"{code}.mmdb")) for code in ("NY", "CA")]
    old, new = (reader for reader in readers)
    old._fields = new._fields = frozenset({module.Field.SUBDIVISION})
    share = verify(new, old).v4
    assert share is not None
    assert share.part == 1.0


def test_the_share_of_nothing_is_nothing() -> None:
    assert Share(0, 0).part == 0.0


def test_the_shipped_edition_stands_up_to_itself() -> None:
    shipped = Reader.open(SHIPPED / "country.mmdb")
    report = verify(shipped, shipped)
    assert report.problems == ()
    assert report.v4 is not None
    assert report.v6 is not None
    assert report.v4.compared > 3_000
    assert report.v6.compared > 3_000


def test_those_who_open_the_file_meanwhile_see_one_edition_or_the_other(
    make: Make, world: World, destination: Path
) -> None:
    files = [make(world(share=share), name=f"{share}.mmdb") for share in (64, 65)]
    known = {file.read_bytes() for file in files}
    seen: list[bytes] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(destination.read_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for round_ in range(6):
            assert not update(files[round_ % 2], destination).problems
    finally:
        done.set()
        watcher.join()
    assert set(seen) <= known
