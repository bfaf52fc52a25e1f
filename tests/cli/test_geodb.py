"""`gateway geodb`: shown, asked, replaced and made on the command line."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import geodb as module
from gateway.core.errors import ConfigError, EditionError
from geodb.datasets import SHIPPED, attribution, datasets
from geodb.tree import Span, joined, write
from geodb.update import SENTINELS

Run = Callable[..., Result]
BUILT_AT = 1_780_272_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder; a fault of the gateway is raised as `main` sees it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)

    def command(*arguments: object) -> Result:
        result = CliRunner().invoke(module.app, [str(argument) for argument in arguments])
        if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def written(
        records: Mapping[str, Any], name: str, *, database_type: str = "GeoLite2-Country", built_at: int = BUILT_AT
    ) -> Path:
        spans = [
            Span(int(network.network_address), int(network.broadcast_address), cidr)
            for cidr in records
            for network in [ip_network(cidr)]
        ]
        path = tmp_path / name
        write(str(path), joined(spans).spans, records, database_type=database_type, built_at=built_at)
        return path

    return written


def country(code: str) -> dict[str, Any]:
    return {"country": {"iso_code": code}}


def world(elsewhere: str) -> dict[str, Any]:
    records = {f"{first}.0.0.0/8": country(elsewhere) for first in range(16, 126) if first != 100}
    records |= {f"{one.address}/{128 if ':' in one.address else 32}": country(one.country) for one in SENTINELS}
    return records


CLIENT_IP = "[client_ip]\ntrusted_proxies = []\n"


def test_info_shows_the_shipped_editions_where_nothing_is_configured(run: Run) -> None:
    result = run("info")
    assert result.exit_code == 0
    for one in datasets():
        assert f"{one.name}@{one.date}#{one.sha256[:8]}" in result.stdout
        assert one.attribution in result.stdout
        assert f"licence {one.licence}" in result.stdout
        assert f"warning: {one.name}@{one.date}" in result.stdout
    assert result.stderr == ""


def test_info_as_json_says_everything(run: Run) -> None:
    document = json.loads(run("info", "--json").stdout)
    country_edition, asn_edition = document["editions"]
    assert country_edition["answers"] == ["country"]
    assert asn_edition["answers"] == ["asn"]
    assert country_edition["sha256"] == hashlib.sha256((SHIPPED / "country.mmdb").read_bytes()).hexdigest()
    assert country_edition["age_days"] > 100
    assert country_edition["licence"] == "CC-BY-4.0"
    assert len(document["warnings"]) == 2


def test_info_speaks_of_the_configured_editions_and_warns_of_old_ones(run: Run, tmp_path: Path, make: Any) -> None:
    make({"81.2.0.0/16": country("DE")}, "mine.mmdb")
    (tmp_path / "tor.txt").write_text("81.2.3.0/24\n")
    (tmp_path / "gateway.toml").write_text(
        f'{CLIENT_IP}[geodb]\ncountry = ["mine.mmdb", "rir"]\n'
        'max_age = { warn = "35d" }\nnetworks = { tor = "tor.txt" }\n'
    )
    result = run("info")
    assert "geolite2-country@2026-06-01#" in result.stdout
    assert "licence as agreed with its vendor" in result.stdout
    assert "rir-iptocc@" in result.stdout
    assert "licence MIT OR Apache-2.0" in result.stdout
    assert "of unknown age" in result.stdout
    assert "network tor" in result.stdout
    assert re.search(r"warning: geolite2-country@\S+ is \d+ days old, more than 35", result.stdout)


def test_a_configuration_that_was_asked_for_must_be_there(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"other\.toml: there is no such file"):
        run("info", "--config", tmp_path / "other.toml")


def test_lookup_shows_every_source_and_what_comes_of_it(run: Run) -> None:
    result = run("lookup", "193.0.6.139")
    assert result.exit_code == 0
    assert re.search(r"country +dbip-country-lite@\S+ +NL", result.stdout)
    assert re.search(r"asn +open-asn@\S+ +AS3333 ", result.stdout)
    assert re.search(r"= country +NL", result.stdout)
    assert re.search(r"= subdivision +any of NL-… \(not-configured\)", result.stdout)
    assert re.search(r"= network +unknown \(not-configured\)", result.stdout)


def test_lookup_puts_sources_that_disagree_side_by_side(run: Run, tmp_path: Path, make: Any) -> None:
    make({"81.2.0.0/16": {**country("RU"), "subdivisions": [{"iso_code": "KDA"}]}}, "a.mmdb", database_type="A-City")
    make({"81.2.0.0/16": {"country_code": "UA", "state1": "Atlantis", "asn": 5}}, "b.mmdb", database_type="flat")
    make({"81.2.0.0/16": {"is_tor_exit_node": True}, "81.3.0.0/16": country("EU")}, "c.mmdb", database_type="flat c")
    make({"81.2.0.1/32": {"country": 5}, "90.0.0.0/8": country("FR")}, "d.mmdb", database_type="D-Country")
    (tmp_path / "dc.txt").write_text("81.2.0.0/24\n")
    (tmp_path / "gateway.toml").write_text(
        f'{CLIENT_IP}[geodb]\ncountry = ["a.mmdb", "b.mmdb"]\nsubdivision = ["a.mmdb", "b.mmdb"]\nasn = ["b.mmdb"]\n'
        'anonymizer = ["c.mmdb"]\nnetworks = { hosting = "dc.txt" }\n'
    )
    (first,) = json.loads(run("lookup", "81.2.0.1", "--json").stdout)
    assert [(row["asked_for"], row["answer"]) for row in first["sources"]] == [
        ("country", "RU"),
        ("country", "UA"),
        ("subdivision", "RU-KDA"),
        ("subdivision", "`Atlantis`, which has no ISO code"),
        ("asn", "AS5"),
        ("anonymizer", "tor"),
        ("network hosting", "in the list"),
    ]
    assert first["sources"][0]["record"]["country"] == {"iso_code": "RU"}
    assert first["facts"]["country"] == {"why": "sources-disagree", "one_of": ["RU", "UA"], "prefixes": []}
    assert first["facts"]["network"] == ["hosting", "tor"]
    text = run("lookup", "81.2.0.1").stdout
    assert "= country     one of RU, UA (sources-disagree)" in text
    assert "= network     hosting, tor" in text
    silent = json.loads(run("lookup", "81.4.0.1", "81.2.9.9", "--json").stdout)[0]
    assert silent["sources"][0]["answer"] == "no-record: no record of this address"
    assert silent["facts"]["network"] == []
    assert "none of the known kinds" in run("lookup", "81.4.0.1", "81.2.9.9").stdout


def test_lookup_says_what_stands_where_a_country_should(run: Run, tmp_path: Path, make: Any) -> None:
    records = {
        "81.2.0.0/16": {"country_code": "EU", "state1": "", "asn": 0, "vpn": False},
        "81.3.0.0/16": {"country_code": "-", "is_anonymous": True},
    }
    make(records, "a.mmdb", database_type="flat")
    (tmp_path / "gateway.toml").write_text(
        f'{CLIENT_IP}[geodb]\ncountry = ["a.mmdb"]\nsubdivision = ["a.mmdb"]\n'
        'asn = ["a.mmdb"]\nanonymizer = ["a.mmdb"]\n'
    )
    result = run("lookup", "81.2.0.1", "81.3.0.1")
    assert result.exit_code == 1
    for words in ("`EU` is somewhere in Europe", "a record without a country", "no region", "no AS number", "nothing"):
        assert words in result.stdout
    assert "= country     unknown (pseudo-code)" in result.stdout
    assert '["public_proxy"]' in result.stdout


def test_lookup_answers_no_where_no_country_is_known(run: Run) -> None:
    result = run("lookup", "192.168.1.1", "2001::1")
    assert result.exit_code == 1
    assert "not looked up: private use" in result.stdout
    assert "not looked up: Teredo" in result.stdout


def test_lookup_asks_about_the_address_inside(run: Run) -> None:
    result = run("lookup", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")
    assert result.stdout.startswith("8.8.8.8\n")
    assert "64:ff9b::808:808, asked as 8.8.8.8" in result.stdout


def test_lookup_of_what_is_no_address_is_wrong_usage(run: Run) -> None:
    result = run("lookup", "8.8.8")
    assert result.exit_code == 2
    assert "`8.8.8` is not an address such as 192.0.2.1" in result.stderr


def test_update_takes_a_good_edition_and_says_what_changes(run: Run, tmp_path: Path, make: Any) -> None:
    new, destination = make(world("FR"), "new.mmdb"), tmp_path / "live.mmdb"
    first = run("update", new, destination)
    assert first.exit_code == 0
    assert re.search(r"geolite2-country@2026-06-01#\w+ is now \S+live.mmdb\n", first.stdout)
    assert destination.read_bytes() == new.read_bytes()
    second = run("update", make(world("FR"), "newer.mmdb", built_at=BUILT_AT + 86_400), destination)
    assert "in the place of geolite2-country@2026-06-01" in second.stdout
    assert re.search(r"ipv4: 0 of \d+ sampled addresses changed their answer", second.stdout)
    assert second.stderr == ""


def test_update_leaves_all_as_it_was_and_answers_no_with_the_reasons(run: Run, tmp_path: Path, make: Any) -> None:
    destination = make(world("FR"), "live.mmdb")
    before = destination.read_bytes()
    new = make(world("DE"), "new.mmdb", built_at=BUILT_AT - 86_400)
    result = run("update", new, destination)
    assert result.exit_code == 1
    assert f"not taken, {destination} is as it was:" in result.stdout
    assert "- built on 2026-05-31, before the running edition of 2026-06-01" in result.stdout
    assert re.search(r"- 100\.0% of the IPv4 space changes its answer", result.stdout)
    document = json.loads(run("update", new, destination, "--json").stdout)
    assert document["taken"] is False
    assert len(document["problems"]) == 2
    assert document["changes"]["ipv4"]["changed"] > 1000
    assert destination.read_bytes() == before


def test_update_may_be_allowed_a_greater_change(run: Run, tmp_path: Path, make: Any) -> None:
    destination = make(world("FR"), "live.mmdb")
    assert run("update", make(world("DE"), "new.mmdb"), destination, "--allow-change", "100").exit_code == 0
    assert run("update", tmp_path / "new.mmdb", destination, "--allow-change", "500").exit_code == 2


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        ("none.mmdb", (), "none.mmdb: cannot be had: .*No such file"),
        ("http://localhost/x", (), "only https addresses and paths are fetched from"),
        ("bad.mmdb", (), "- bad.mmdb: not a readable MaxMind-format database"),
        ("bad.mmdb", ("--sha256", "0" * 64), "its SHA-256 is .*, not the expected 0000"),
    ],
)
def test_update_answers_no_to_what_cannot_be_had_or_read(
    run: Run, tmp_path: Path, source: str, options: tuple[str, ...], why: str
) -> None:
    (tmp_path / "bad.mmdb").write_bytes(b"no database")
    result = run("update", source, tmp_path / "live.mmdb", *options)
    assert result.exit_code == 1
    assert re.search(why, result.stdout)
    assert not (tmp_path / "live.mmdb").exists()


ABOUT = ("--name", "mine", "--date", "2026-06-01", "--title", "Mine", "--source-url", "https://example.org",
         "--licence", "CC0-1.0", "--attribution", "By nobody.")  # fmt: skip


def test_build_writes_the_edition_and_where_it_comes_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("16.0.0.0,16.255.255.255,DE\n17.0.0.0,17.255.255.255,EU\n")
    result = run("build", "country", tmp_path / "in.csv", "--into", tmp_path / "out", *ABOUT)
    assert result.exit_code == 0
    assert re.match(r"mine@2026-06-01#\w{8}: 1 ranges, \d+ bytes, in \S+country.mmdb", result.stdout)
    assert "2 networks read, 1 without an answer left out, 0 contested" in result.stdout
    (one,) = datasets(tmp_path / "out")
    assert one.sha256 == hashlib.sha256((tmp_path / "out" / "country.mmdb").read_bytes()).hexdigest()
    assert (tmp_path / "out" / "ATTRIBUTION.md").read_text() == attribution([one])
    again = json.loads(
        run("build", "country", tmp_path / "in.csv", "--into", tmp_path / "out", *ABOUT, "--json").stdout
    )
    assert again["edition"] == f"mine@2026-06-01#{one.sha256[:8]}", "the same input gives the same bytes"
    assert (again["read"], again["left_out"], again["contested"], again["ranges"]) == (2, 1, 0, 1)


def test_build_of_what_cannot_be_read_is_one_clear_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("16.0.0.0\n")
    with pytest.raises(EditionError, match=r"in\.csv, line 1: expected `first,last,value`"):
        run("build", "country", tmp_path / "in.csv", "--into", tmp_path / "out", *ABOUT)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("kind", "date"), [("planet", "2026-06-01"), ("country", "yesterday")])
def test_build_of_a_wrong_kind_or_date_is_wrong_usage(run: Run, tmp_path: Path, kind: str, date: str) -> None:
    result = run("build", kind, tmp_path / "in.csv", "--into", tmp_path, *ABOUT, "--date", date)
    assert result.exit_code == 2
    assert "KIND is country, city or asn, and a date such as 2026-06-01" in " ".join(
        result.stderr.replace("│", " ").split()
    )


class _Terminal:
    def __init__(self, *, is_one: bool) -> None:
        self.is_one = is_one
        self.written = ""

    def isatty(self) -> bool:
        return self.is_one

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        """Nothing is held back."""


def test_progress_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal(is_one=True)
    monkeypatch.setattr(module.sys, "stderr", terminal)
    with module._progress() as show:
        assert show is not None
        show("reading", 1_367_493)
        assert terminal.written == "\r\x1b[Kreading: 1,367,493"
    assert terminal.written.endswith("\r\x1b[K"), "and taken away when it is over"
    terminal.is_one = False
    with module._progress() as show:
        assert show is None


@pytest.mark.parametrize("command", ["info", "lookup", "update", "build"])
def test_the_help_of_every_command_ends_with_an_example(run: Run, command: str) -> None:
    text = run(command, "--help").stdout
    assert f"Example: gateway geodb {command}" in " ".join(text.split())
