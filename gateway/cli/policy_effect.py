"""`gateway policy diff` and `matrix`: what rules come to, without any traffic."""

import csv
import json
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.findings import instant_of, refuse
from gateway.cli.policy import DEFAULT, AsJson, At, Config, Paths, read

if TYPE_CHECKING:
    from gateway.policies.compile import Bundle
    from gateway.policies.matrix import Matrix

E = TypeVar("E", bound=StrEnum)

CONFIGURED = "configured"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BUNDLE = f"Files, folders, `library:NAME` or `library:*`, joined by commas; a digest; or `{CONFIGURED}`."


def register(app: typer.Typer) -> None:
    """Add the commands to those of `gateway policy`."""
    app.command("diff")(diff)
    app.command("matrix")(matrix)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_BUNDLE)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, of the rules to come.")],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Count what differs at any instant from here on; else from now."),
    ] = None,
    allow: Annotated[bool, typer.Option("--allow-widening", help="Do not exit 1 where access is widened.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why the widening is meant.")] = "",
    config: Config = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say exactly what a change widens and what it narrows, with facts that show each. Exit 1 where it widens.

    Every line stands for all facts like those it names, and every difference is covered by some line. What is asked is
    whether facts exist, in every doubt that they can be in, so no traffic is needed.

    Example: gateway policy diff configured policies/ --allow-widening --reason "Counsel, 3 March: Cuba reopens"
    """
    from gateway.policies.diff import diff as compare
    from gateway.policies.widening import refuse_widening

    if reason and not allow:
        raise typer.BadParameter("a reason alone allows nothing: give `--allow-widening` as well")
    if allow and not reason.strip():
        raise typer.BadParameter("`--allow-widening` needs `--reason`: say why, in a sentence")
    before, after = _whole([_bundle(one, config, as_json=as_json) for one in (old, new)])
    found = compare(before, after, since=instant_of(since))
    refusal = refuse_widening(found, allowed=allow, reason=reason)
    if as_json:
        print(json.dumps({"ok": refusal is None, **found.to_json(), "reason": reason or None}, indent=2))
    else:
        print(found.text())
        if refusal is not None:
            print("access widens: give `--allow-widening` and `--reason` where that is meant", file=sys.stderr)
    if refusal is not None:
        raise typer.Exit(1)


def matrix(
    paths: Paths = None,
    facts: Annotated[
        list[str] | None,
        typer.Option("--fact", metavar="NAME=VALUE", help="A fact of the customer, such as `documents=US,CA`."),
    ] = None,
    operation: Annotated[list[str] | None, typer.Option("--operation", help="Only this operation.")] = None,
    status: Annotated[list[str] | None, typer.Option("--status", help="Only this status of the account.")] = None,
    at: At = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each answer.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a map of the world.")] = None,
    config: Config = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say who may do what: for each country, operation and status, and each part of a country that a rule names.

    The customer has signed in with a second factor just now, is verified in full and has no marks, holds or documents;
    `--fact` says what is otherwise. Several options of one kind may be given. The map is of the status `open` where
    that is asked for, else of the first.

    Example: gateway policy matrix library:us-exit --status open --fact documents=US --svg world.svg
    """
    from gateway.core.terms import Operation
    from gateway.policies.matrix import STATUSES
    from gateway.policies.matrix import matrix as answers
    from gateway.policies.stating import stated

    if as_csv and as_json:
        raise typer.BadParameter("`--csv` and `--json` exclude each other")
    operations = _chosen(operation, tuple(Operation), "--operation")
    statuses = _chosen(status, STATUSES, "--status")
    texts, _ = read(paths, config)
    (bundle,) = _whole([_assembled(texts, as_json=as_json)])
    found = answers(bundle, instant_of(at), operations=operations, statuses=statuses, facts=stated(facts or ()))
    if svg is not None:
        _write_map(svg, found)
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(found.csv())
    elif as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print("\n".join(found.text()))


def _bundle(text: str, config: Path, *, as_json: bool) -> "Bundle":
    """Return the bundle that an argument names."""
    from gateway.adapters.policy_files import read_sources

    if text == CONFIGURED:
        return _assembled(read(None, config)[0], as_json=as_json)
    if _DIGEST.fullmatch(text):
        return _assembled(_archived(text, config), as_json=as_json)
    return _assembled(read_sources(text.split(","), Path()), as_json=as_json)


def _archived(digest: str, config: Path) -> Mapping[str, str]:
    from gateway.app.parts import bundles_of
    from gateway.config import load

    texts = bundles_of(load(config)).get(digest)
    if texts is None:
        raise typer.BadParameter(f"no bundle `{digest[:12]}…` was ever in force by {config}")
    return texts


def _assembled(texts: Mapping[str, str], *, as_json: bool) -> "Bundle":
    """Return the bundle of some texts. Whether each fact has a source is for `check` to say."""
    from gateway.policies.bundle import assemble
    from gateway.policies.findings import Rejected

    try:
        return assemble(texts, sources_configured=None)
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)


def _whole(bundles: "list[Bundle]") -> "tuple[Bundle, ...]":
    """Return the bundles, with a grant of everything where they are only a part; that is said."""
    from gateway.policies.whole import whole

    found = whole(bundles)
    if len(found[0].rules) > len(bundles[0].rules):
        print("no rule here grants anything, so what these rules leave open counts as granted", file=sys.stderr)
    return found


def _chosen(texts: list[str] | None, options: tuple[E, ...], what: str) -> tuple[E, ...]:
    """Return the members of an enumeration that an option names; all where it is not given."""
    from gateway.policies.findings import did_you_mean

    named = {str(one): one for one in options}
    for text in texts or ():
        if text not in named:
            raise typer.BadParameter(f"`{text}` is none{did_you_mean(text, named)}", param_hint=what)
    return tuple(named[text] for text in dict.fromkeys(texts)) if texts else options


def _write_map(file: Path, found: "Matrix") -> None:
    from gateway.core.terms import Status

    status = Status.OPEN if Status.OPEN in found.statuses else found.statuses[0]
    try:
        file.write_text(f"{found.svg(status)}\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"`{file}` cannot be written: {error.strerror}") from None
