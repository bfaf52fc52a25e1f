"""`gateway geodb`: what the databases are, what they say, and how a new one takes the place of an old."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.core.errors import ConfigError, EditionError

if TYPE_CHECKING:
    from gateway.adapters.geoip import GeoIP
    from gateway.ports import Connection

app = typer.Typer(help="GeoIP editions: show them, ask them, replace them, make them.", no_args_is_help=True)

_DEFAULT = Path("gateway.toml")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def info(config: Config = _DEFAULT, as_json: AsJson = False) -> None:
    """Show each edition in use: what it answers, how old it is, under which licence, and what is to be warned about.

    Without a configuration file, the shipped editions.

    Example: gateway geodb info --json
    """
    from gateway.adapters.clock import SystemClock
    from gateway.adapters.geoip import licence_of

    geo = _geo(config)
    at = SystemClock().now()
    roles: dict[Any, list[str]] = {}
    for role, sources in geo.sources.items():
        for source in sources:
            roles.setdefault(source.edition, []).append(role)
    rows = []
    for edition, answers in roles.items():
        shipped = licence_of(edition)
        age = edition.age_s(at)
        rows.append(
            {
                "edition": str(edition),
                "answers": answers,
                "type": edition.database_type,
                "date": edition.date,
                "age_days": None if age is None else age // 86_400,
                "bytes": edition.size,
                "file": None if edition.path is None else str(edition.path),
                "sha256": edition.sha256,
                "licence": shipped.licence if shipped else "MIT OR Apache-2.0" if edition.path is None else None,
                "attribution": shipped and shipped.attribution,
            }
        )
    warnings = geo.warnings(at)
    if as_json:
        print(json.dumps({"editions": rows, "warnings": warnings}, indent=2))
        return
    for row in rows:
        age_text = "of unknown age" if row["age_days"] is None else f"{row['age_days']} days old"
        print(f"{row['edition']}  {', '.join(row['answers'])}")
        print(f"  {row['type']}, {age_text}, {row['bytes'] / 1e6:.1f} MB, {row['file'] or 'in a library'}")
        print(f"  licence {row['licence'] or 'as agreed with its vendor'}")
        if row["attribution"]:
            print(f"  {row['attribution']}")
    for line in warnings:
        print(f"warning: {line}")


@app.command()
def lookup(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="IPv4 or IPv6 addresses.")],
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what every source says of each address, side by side, and the facts that come of it.

    Exit 1 where nothing is known of the country of any of them.

    Example: gateway geodb lookup 8.8.8.8 2001:4860:4860::8888
    """
    from gateway.adapters.clock import SystemClock
    from gateway.core.addresses import canonical, geo_key, special_purpose
    from gateway.core.facts import Unknown

    geo = _geo(config)
    at = SystemClock().now()
    found = []
    placed = False
    for text in addresses:
        address = canonical(text)
        if address is None:
            raise typer.BadParameter(f"`{text[:64]}` is not an address such as 192.0.2.1 or 2001:db8::1")
        key = geo_key(address)
        connection = geo.look_up(key, at)
        placed = placed or not isinstance(connection.country, Unknown)
        special = special_purpose(address)
        sources = [] if key is None or special else _side_by_side(geo, key)
        found.append(
            {"address": address, "asked_as": key, "special": special, "sources": sources, "facts": _facts(connection)}
        )
    if as_json:
        print(json.dumps(found, indent=2, default=str))
    else:
        for one in found:
            _print_answer(one)
    if not placed:
        raise typer.Exit(1)


@app.command()
def update(
    source: Annotated[str, typer.Argument(help="The new database: a path or an https address; `.gz` is unpacked.")],
    destination: Annotated[Path, typer.Argument(help="The file to put it into, as the configuration names it.")],
    sha256: Annotated[str | None, typer.Option(help="The digest that the source must have.")] = None,
    allow_change: Annotated[
        float | None, typer.Option(min=0, max=100, help="Percent of all addresses that may change their answer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a new database into the place of the one in use, once it has proved itself. Running gateways take it up.

    It must open, answer the same questions, not be older, know well-known addresses, place no special ones, and leave
    the answer of most addresses as it is (5 percent may change). Else nothing changes, the reasons are printed, and
    the exit code is 1.

    Example: gateway geodb update GeoLite2-Country.mmdb /var/lib/gateway/country.mmdb
    """
    import tempfile

    from gateway.adapters.geoip import LARGEST_CHANGE, faults, fetch
    from gateway.adapters.geoip import update as put

    limit = LARGEST_CHANGE if allow_change is None else allow_change / 100
    outcome: dict[str, Any] = {"candidate": None, "running": None, "source_sha256": None, "changes": {}}
    with _progress() as told, tempfile.TemporaryDirectory(prefix="gateway-geodb-") as folder:
        got = Path(folder) / "candidate.mmdb"
        try:
            with faults():
                outcome["source_sha256"] = fetch(source, got, sha256=sha256, progress=told)
                report = put(got, destination, largest_change=limit)
        except EditionError as error:
            # By the name that the operator gave, not the one that the copy has for a moment.
            problems = [str(error).replace(str(got), source)]
        else:
            problems = list(report.problems)
            outcome["candidate"] = str(report.candidate)
            outcome["running"] = report.running and str(report.running)
            shares = {"ipv4": report.v4, "ipv6": report.v6}
            outcome["changes"] = {version: share._asdict() for version, share in shares.items() if share is not None}
    if as_json:
        print(json.dumps({"taken": not problems, **outcome, "problems": problems}, indent=2))
    elif problems:
        print(f"not taken, {destination} is as it was:")
        print("\n".join(f"- {problem}" for problem in problems))
    else:
        instead = f", in the place of {outcome['running']}" if outcome["running"] else ""
        print(f"{outcome['candidate']} is now {destination}{instead}")
        for version, share in outcome["changes"].items():
            print(f"  {version}: {share['changed']} of {share['compared']} sampled addresses changed their answer")
    if problems:
        raise typer.Exit(1)


@app.command()
def build(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="country, city or asn.")],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="MaxMind-format databases, or CSV files.")],
    name: Annotated[str, typer.Option(help="What the edition is called in decisions, such as dbip-country-lite.")],
    date: Annotated[str, typer.Option(help="The date of the data, such as 2026-06-01.")],
    into: Annotated[Path, typer.Option(help="The folder to write to.")],
    title: Annotated[str, typer.Option(help="The name of the data set, for people.")],
    source_url: Annotated[str, typer.Option(help="Where the data can be had.")],
    licence: Annotated[str, typer.Option(help="Its SPDX identifier.")],
    attribution: Annotated[str, typer.Option(help="The sentence that the licence asks to be shown.")],
    changes: Annotated[str, typer.Option(help="What was done to the data.")] = (
        "Repacked into a compact schema; neighbouring ranges of one value joined; placeholders left out."
    ),
    as_json: AsJson = False,
) -> None:
    """Repack a database into the compact schema, and record where it comes from in datasets.toml and ATTRIBUTION.md.

    The same input gives the same bytes. A CSV holds `first,last,country` or `first,last,number,organization`.

    Example: gateway geodb build country dbip.mmdb --name dbip-country-lite --date 2026-06-01 --into data --title DB-IP
    --source-url https://db-ip.com --licence CC-BY-4.0 --attribution "IP Geolocation by DB-IP"
    """
    from datetime import date as day_of

    from gateway.adapters.geoip import Dataset, Kind, faults, record
    from gateway.adapters.geoip import build as repack

    try:
        chosen, day = Kind(kind), day_of.fromisoformat(date)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; KIND is country, city or asn, and a date such as 2026-06-01") from error
    about = Dataset(name, title, f"{chosen}.mmdb", source_url, licence, attribution, changes, day, "")
    with faults(), _progress() as told:
        into.mkdir(parents=True, exist_ok=True)
        built = repack(chosen, sources, into / about.file, name=name, built_at=about.built_at, progress=told)
        record(into, about._replace(sha256=built.edition.sha256))
    if as_json:
        numbers = {"read": built.read, "left_out": built.left_out, "contested": built.contested, "ranges": built.spans}
        print(json.dumps({"edition": str(built.edition), "bytes": built.edition.size, **numbers}, indent=2))
        return
    print(f"{built.edition}: {built.spans} ranges, {built.edition.size} bytes, in {into / about.file}")
    print(f"  {built.read} networks read, {built.left_out} without an answer left out, {built.contested} contested")


def _geo(config: Path) -> "GeoIP":
    """Return the configured editions; the shipped ones where there is no configuration and none was asked for."""
    from gateway.adapters.geoip import GeoIP
    from gateway.config.knowing import MaxAge

    if config == _DEFAULT and not config.exists():
        return GeoIP(max_age_warn_s=MaxAge().warn_s)
    from gateway.app.parts import geo_of
    from gateway.config import load

    if not config.exists():
        raise ConfigError(f"{config}: there is no such file")
    return geo_of(load(config))


def _side_by_side(geo: "GeoIP", key: str) -> list[dict[str, Any]]:
    import socket

    from gateway.adapters.geoip import Missing, NetworkList, Reader

    packed = socket.inet_pton(socket.AF_INET6 if ":" in key else socket.AF_INET, key)
    rows: list[dict[str, Any]] = []
    for role, sources in geo.sources.items():
        for source in sources:
            row: dict[str, Any] = {"asked_for": role, "edition": str(source.edition)}
            if isinstance(source, NetworkList):
                row["answer"] = "in the list" if source.contains(packed) else "not in the list"
            else:
                answer = source.read(key)
                if isinstance(answer, Missing):
                    row["answer"] = f"{answer.why}: {answer.detail}"
                else:
                    row["answer"] = _words(role, answer)
                if isinstance(source, Reader):
                    row["record"] = source.raw(key)
            rows.append(row)
    return rows


def _words(role: str, answer: Any) -> str:  # noqa: ANN401 - a GeoRecord, whose module is loaded late
    if role == "country":
        return answer.country or answer.placeholder or "a record without a country"
    if role == "subdivision":
        return answer.subdivision or (f"`{answer.region}`, which has no ISO code" if answer.region else "no region")
    if role == "asn":
        return f"AS{answer.asn} {answer.organization or ''}".strip() if answer.asn else "no AS number"
    return ", ".join(sorted(answer.flags)) or "nothing"


def _facts(connection: "Connection") -> dict[str, Any]:
    from gateway.core.facts import CONNECTION_FACTS, Facts, to_json
    from gateway.core.terms import Operation

    known, uncertain = to_json(Facts(0, Operation.VIEW, *connection[:-1]))
    return {name: known[name] if name in known else uncertain[name] for name in CONNECTION_FACTS}


def _print_answer(one: dict[str, Any]) -> None:
    print(
        one["address"] if one["asked_as"] in {None, one["address"]} else f"{one['address']}, asked as {one['asked_as']}"
    )
    if one["special"]:
        print(f"  not looked up: {one['special']}")
    for row in one["sources"]:
        print(f"  {row['asked_for']:<12} {row['edition']:<44} {row['answer']}")
    for name, fact in one["facts"].items():
        print(f"  = {name:<11} {_fact_words(fact)}")


def _fact_words(fact: Any) -> str:  # noqa: ANN401 - a JSON value
    if isinstance(fact, list):
        return ", ".join(fact) or "none of the known kinds"
    if not isinstance(fact, dict):
        return str(fact)
    options = [json.dumps(one) if isinstance(one, list) else str(one) for one in fact.get("one_of", ())]
    options += [f"any of {prefix}…" for prefix in fact.get("prefixes", ())]
    if not options:
        return f"unknown ({fact['why']})"
    return f"{'one of ' if len(options) > 1 else ''}{', '.join(options)} ({fact['why']})"


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None] | None]:
    """Yield what shows progress, on a terminal alone: a log file has no use for it."""
    if not sys.stderr.isatty():
        yield None
        return

    def show(what: str, count: int) -> None:
        print(f"\r\x1b[K{what}: {count:,}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
