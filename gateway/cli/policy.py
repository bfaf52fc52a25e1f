"""`gateway policy`: whether policies are in order, what their tests say, and what they may say at all."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.findings import instant_of, refuse, rows, write_sarif
from gateway.cli.publish import runs

if TYPE_CHECKING:
    from gateway.policies.bundle import Bundle
    from gateway.policies.coverage import Coverage
    from gateway.policies.rules import Policy
    from gateway.policies.schema import Sources

app = typer.Typer(help="Policies: check them, test them, list them, and show what they may say.", no_args_is_help=True)

DEFAULT = Path("gateway.toml")
_ONE = {"policies": "policy", "rules": "rule", "lists": "list", "tests": "test"}
Config = Annotated[Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATHS]...", help="Files, folders, `library:NAME` or `library:*`; else the configured ones."
    ),
]

At = Annotated[
    str | None,
    typer.Option("--at", metavar="DATE", help="As of this date (midnight, UTC) or time with its offset; else now."),
]


@app.command()
def check(
    paths: Paths = None,
    config: Config = DEFAULT,
    at: At = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where there is a warning, too.")] = False,
    sarif: Annotated[
        Path | None,
        typer.Option("--sarif", metavar="FILE", help="Write the findings as SARIF 2.1.0, for code scanners."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check policies as they are checked before they are loaded, their tests included. Exit 1 where one is refused.

    Warnings (stale lists, rules that never decide anything) and notes are printed and do not stop a bundle.

    Example: gateway policy check policies/ library:us-exit --sarif policy.sarif
    """
    from gateway.policies.bundle import load
    from gateway.policies.findings import Rejected, Severity
    from gateway.policies.review import review

    instant = instant_of(at)
    try:
        texts, supplied = read(paths, config)
        bundle = load(texts, sources_configured=supplied)
    except Rejected as rejected:
        write_sarif(sarif, rejected.findings)
        refuse(rejected.findings, as_json=as_json)
    found = review(bundle, instant)
    write_sarif(sarif, found)
    warned = sum(finding.severity is Severity.WARNING for finding in found)
    fine = not (strict and warned)
    counted = _count(bundle)
    if as_json:
        document = {"ok": fine, "digest": bundle.digest, "sources_checked": supplied is not None, **counted}
        print(json.dumps({**document, "warnings": warned, "findings": rows(found)}, indent=2))
    else:
        for finding in found:
            print(finding, file=sys.stderr)
        said = ", ".join(f"{number} {_ONE[what] if number == 1 else what}" for what, number in counted.items())
        looked = f", {warned} {'warning' if warned == 1 else 'warnings'}" if warned else ""
        print(f"{said}: in order{looked}, {bundle.digest[:12]}")
    if not fine:
        raise typer.Exit(1)


@app.command("test")
def run_tests(
    paths: Paths = None,
    config: Config = DEFAULT,
    with_coverage: Annotated[
        bool, typer.Option("--coverage", help="Say which parts of the rules no test would miss.")
    ] = False,
    fail_under: Annotated[
        int | None,
        typer.Option("--fail-under", metavar="PERCENT", min=0, max=100, help="With --coverage: exit 1 below this."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the tests that policies carry, and print each. Exit 1 where one fails or a rule has none.

    With --coverage each part of a rule (a branch of its condition, a date, an obligation) is left out in turn: it is
    tested where some test then fails.

    Example: gateway policy test policies/ --coverage --fail-under 80
    """
    from gateway.policies import testing
    from gateway.policies.bundle import assemble
    from gateway.policies.coverage import coverage
    from gateway.policies.findings import Rejected

    if fail_under is not None and not with_coverage:
        raise typer.BadParameter("`--fail-under` is about what `--coverage` measures: give both")
    try:
        texts, supplied = read(paths, config)
        bundle = assemble(texts, sources_configured=supplied)
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)
    results = testing.run(bundle)
    untested = [
        finding
        for policy in bundle.policies
        for finding in testing.untested(policy, [one for one in results if one.policy == policy.name])
    ]
    covered = coverage(bundle.policies, bundle.lists) if with_coverage else None
    failed = sum(not result.passed for result in results)
    enough = covered is None or fail_under is None or covered.percent >= fail_under
    fine = not failed and not untested and enough
    if as_json:
        run = [
            {"policy": one.policy, "test": one.name, "at": str(one.place), "passed": one.passed, "why": one.differences}
            for one in results
        ]
        document = {"ok": fine, "tests": run, "findings": rows(untested)}
        if covered is not None:
            document["coverage"] = {**covered.to_json(), "untested": rows(covered.findings())}
        print(json.dumps(document, indent=2))
    else:
        for one in results:
            print(f"{'ok    ' if one.passed else 'FAILED'}  {one.policy}: {one.name}")
            for difference in one.differences:
                print(f"        {one.place}: {difference}")
        for finding in untested:
            print(finding, file=sys.stderr)
        print(f"{len(results)} {'test' if len(results) == 1 else 'tests'}, {failed} failed")
        if covered is not None:
            _print_coverage(covered)
    if not fine:
        raise typer.Exit(1)


@app.command()
def schema(
    as_json: AsJson = False,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print the JSON Schema of policy files.")] = False,
    lists: Annotated[bool, typer.Option("--lists", help="With --json-schema: that of list files.")] = False,
    exceptions: Annotated[bool, typer.Option("--exceptions", help="With --json-schema: that of exceptions.")] = False,
) -> None:
    """Print the facts that conditions may name: their values, and what must be configured to have them.

    Example: gateway policy schema --json-schema > policy.v1.json
    """
    from gateway.policies.json_schema import exceptions_schema, list_schema, policy_schema
    from gateway.policies.schema import FACTS

    if (lists or exceptions) and not json_schema:
        raise typer.BadParameter("`--lists` and `--exceptions` choose what `--json-schema` prints: give both")
    if lists and exceptions:
        raise typer.BadParameter("`--lists` and `--exceptions` are of different files: give one")
    if json_schema:
        chosen = list_schema if lists else exceptions_schema if exceptions else policy_schema
        print(json.dumps(chosen(), indent=2))
        return
    facts = [
        {
            "fact": fact.name,
            "is": f"{'set of ' if fact.is_set else ''}{fact.kind}{' or none' if fact.nullable else ''}",
            "values": None
            if fact.domain is None
            else [one if isinstance(one, int) else str(one) for one in fact.domain],
            "doc": fact.doc,
            "configure": fact.configure,
        }
        for fact in FACTS.values()
    ]
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for row in facts:
        print(f"{row['fact']:<20} {row['is']:<24} {row['doc']}")
        if row["values"] is not None:
            print(f"{'':<20} one of {', '.join(map(str, row['values']))}")
        if row["configure"] is not None:
            print(f"{'':<20} needs: {row['configure']}")


@app.command("list")
def list_(
    paths: Paths = None,
    running: Annotated[
        bool, typer.Option("--running", help="List the processes, and by which policies each decides.")
    ] = False,
    config: Config = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List policies and the named lists they use, with what each rule does and since when.

    Example: gateway policy list 'library:*'
    """
    if running:
        runs(config, as_json)
        return
    from gateway.policies.bundle import assemble
    from gateway.policies.findings import Rejected

    try:
        texts, supplied = read(paths, config)
        bundle = assemble(texts, sources_configured=supplied)
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)
    policies = [_described(policy) for policy in bundle.policies]
    lists = [
        {"list": one.name, "kind": str(one.kind), "title": one.title, "date": one.date, "entries": len(one.entries)}
        for one in bundle.lists.values()
    ]
    if as_json:
        print(json.dumps({"digest": bundle.digest, "policies": policies, "lists": lists}, indent=2))
        return
    for policy in policies:
        print(f"{policy['policy']}: {policy['title']} ({policy['owner']}; {policy['file']})")
        for rule in policy["rules"]:
            dates = "".join(f", {word} {rule[word]}" for word in ("from", "until") if rule[word] is not None)
            absolute = ", absolute" if rule["absolute"] else ""
            print(f"  {rule['rule']:<28} {rule['effect']:<8} {rule['when']}{dates}{absolute}")
    for one in lists:
        print(f"{one['list']}: {one['title']} ({one['entries']} codes of {one['kind']}, as of {one['date']})")


def _described(policy: "Policy") -> dict[str, Any]:
    from gateway.core.decision import instant_text

    rules = [
        {
            "rule": rule.id,
            "effect": str(rule.effect),
            "operations": sorted(rule.operations),
            "when": rule.when_text,
            "reason": None if rule.reason is None else str(rule.reason),
            "basis": rule.basis,
            "absolute": rule.absolute,
            "from": None if rule.start is None else instant_text(rule.start),
            "until": None if rule.end is None else instant_text(rule.end),
        }
        for rule in policy.rules
    ]
    return {
        "policy": policy.name,
        "title": policy.title,
        "owner": policy.owner,
        "file": policy.place.file,
        "rules": rules,
        "tests": len(policy.tests),
    }


def read(paths: list[str] | None, config: Path) -> "tuple[dict[str, str], Sources | None]":
    """Return the texts, and what the configuration supplies; None of the latter where paths stand alone."""
    from gateway.adapters.policy_files import read_sources
    from gateway.app.parts import sources_of
    from gateway.config import load

    if paths and not config.exists():
        print(f"{config} is not there, so whether each fact has a source is not checked", file=sys.stderr)
        return read_sources(paths, Path()), None
    settings = load(config)
    if paths:
        return read_sources(paths, Path()), sources_of(settings)
    return read_sources(settings.policies.paths, settings.base), sources_of(settings)


def _print_coverage(covered: "Coverage") -> None:
    from gateway.core.terms import Effect, Operation

    for finding in covered.findings():
        print(finding, file=sys.stderr)
    effects = list(Effect)
    print(f"{'':<16} {' '.join(f'{effect.value:<8}' for effect in effects)}".rstrip())
    words = {True: "tested", False: "NO TEST", None: "-"}
    for operation in Operation:
        cells = (words[covered.cells.get((effect, operation))] for effect in effects)
        print(f"{operation.value:<16} {' '.join(f'{cell:<8}' for cell in cells)}".rstrip())
    print(f"{covered.tested} of {len(covered.parts)} parts tested, {covered.percent} %")


def _count(bundle: "Bundle") -> dict[str, int]:
    return {
        "policies": len(bundle.policies),
        "rules": len(bundle.rules),
        "lists": len(bundle.lists),
        "tests": sum(len(policy.tests) for policy in bundle.policies),
    }
