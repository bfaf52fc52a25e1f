"""`gateway policy publish` and the rest of a revision's life: one person proposes, another approves."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.account import AsJson, Config, ask, refuse
from gateway.cli.person import TokenFile, in_store

if TYPE_CHECKING:
    from gateway.adapters.revisions import RevisionStore
    from gateway.adapters.sql import AccountStore
    from gateway.core.account import Refused
    from gateway.core.permissions import Person
    from gateway.desk.revision import Revision
    from gateway.service.publishing import Publishing

_DEFAULT = Path("gateway.toml")
Wanted = Annotated[
    str, typer.Argument(metavar="REVISION", help="Its number, or the beginning of its digest (6 digits or more).")
]
Why = Annotated[str, typer.Option("--why", help="Why: it stands with the revision for good.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="The version that `policy show` showed: nothing unseen is changed.")
]
Widening = Annotated[
    bool, typer.Option("--allow-widening", help="That it may open what is closed. It takes a reason, too.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(publish)
    app.command()(approve)
    app.command()(decline)
    app.command()(withdraw)
    app.command()(rollback)
    app.command()(revisions)
    app.command()(show)
    app.command()(runs)


def publish(
    message: Annotated[str, typer.Option("--message", "-m", help="What it changes and why, in one line.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATHS]...", help="Files, folders, `library:NAME` or `library:*`; else the configured ones."
        ),
    ] = None,
    allow_widening: Widening = False,
    reason: Annotated[str, typer.Option(help="Why it may open what is closed.")] = "",
    at: Annotated[
        str | None, typer.Option("--at", help="When it is to come into force, such as 2027-01-01T00:00:00Z.")
    ] = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Propose a revision of the policies: all of them, as they shall be. Another person must approve it.

    Exit 1 where it does not load, a test fails, it opens something unsaid, or it locks somebody out.

    Example: gateway policy publish policies/ -m 'TICKET-7: close KP from 2027' --token-file my.token
    """
    from gateway.adapters.policy_files import LIBRARY, read_settled
    from gateway.config import load

    settings = load(config)
    # Named as the gateway names them, wherever this is called: the same texts have the same digest.
    found = [path if path.startswith(LIBRARY) else str(Path(path).absolute()) for path in paths or ()]
    texts = read_settled(found or settings.policies.paths, settings.base.absolute())
    starts_at = _instant(at)

    async def act(publishing: "Publishing", _: "RevisionStore", person: "Person") -> "Revision | Refused":
        return await publishing.propose(
            texts, person, message, allow_widening=allow_widening, reason=reason, starts_at=starts_at
        )

    _print(_as_publisher(config, token_file, as_json, act), as_json)


def approve(
    wanted: Wanted,
    why: Why,
    accept_flips: Annotated[
        str, typer.Option(help="Why it may change more of yesterday's decisions than `flips_at_most` says.")
    ] = "",
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Approve what another person proposed: it comes into force, now or at its instant. Exit 1 where it may not.

    Example: gateway policy approve 7 --why 'I read the difference' --token-file my.token
    """

    async def act(publishing: "Publishing", store: "RevisionStore", person: "Person") -> "Revision | Refused":
        seen = await _found(store, wanted)
        return await publishing.approve(
            seen.number, person, why, version=version or seen.version, accept_flips=accept_flips
        )

    _print(_as_publisher(config, token_file, as_json, act), as_json)


def decline(
    wanted: Wanted,
    why: Why,
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Turn down what another person proposed, or stop what waits for its instant. Exit 1 where it cannot be.

    Example: gateway policy decline 7 --why 'the list is of last year' --token-file my.token
    """

    async def act(publishing: "Publishing", store: "RevisionStore", person: "Person") -> "Revision | Refused":
        return await publishing.decline((await _found(store, wanted)).number, person, why, version=version)

    _print(_as_publisher(config, token_file, as_json, act), as_json)


def withdraw(
    wanted: Wanted,
    why: Why,
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take back what you proposed, or stop what waits for its instant. Exit 1 where it cannot be.

    Example: gateway policy withdraw 7 --why 'a rule is missing' --token-file my.token
    """

    async def act(publishing: "Publishing", store: "RevisionStore", person: "Person") -> "Revision | Refused":
        return await publishing.withdraw((await _found(store, wanted)).number, person, why, version=version)

    _print(_as_publisher(config, token_file, as_json, act), as_json)


def rollback(
    why: Why,
    wanted: Annotated[
        str | None, typer.Argument(metavar="[REVISION]", help="Number or digest; else the one before the active one.")
    ] = None,
    allow_widening: Widening = False,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Return at once to a revision that was active lately. One person may: two people have published it.

    Exit 1 where it opens what is closed now and that is not said, or nothing can be returned to.

    Example: gateway policy rollback --why 'customers in PT are refused' --allow-widening --token-file my.token
    """

    async def act(publishing: "Publishing", _: "RevisionStore", person: "Person") -> "Revision | Refused":
        return await publishing.roll_back(wanted, person, why, allow_widening=allow_widening)

    _print(_as_publisher(config, token_file, as_json, act), as_json)


def revisions(
    state: Annotated[str | None, typer.Option(help="Those that stand there, such as proposed or active.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Those before this number.")] = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List revisions, the newest first, and which is active.

    Example: gateway policy revisions --state proposed
    """
    from gateway.api.policy_documents import revision_document
    from gateway.desk.revision_lifecycle import RevisionState

    if state is not None and state not in tuple(RevisionState):
        raise typer.BadParameter(f"`{state}` is none of {', '.join(RevisionState)}", param_hint="--state")
    found = _look(config, lambda store: store.revisions(state, before=before, limit=limit))
    if as_json:
        print(json.dumps({"revisions": [revision_document(one) for one in found]}, indent=2))
        return
    for one in found:
        wider = "  widens" if one.widens else ""
        print(f"{one.number:>5}  {one.digest[:12]}  {one.state:<11}  {one.author}: {one.message}{wider}")
    if not found:
        print("No revisions.", file=sys.stderr)


def show(
    wanted: Wanted,
    texts: Annotated[bool, typer.Option("--texts", help="With its texts.")] = False,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show a revision: who stands for it, what it opens and closes, what was found. Exit 1 where there is none.

    Example: gateway policy show 7
    """
    from gateway.api.documents import log_document
    from gateway.api.policy_documents import revision_document
    from gateway.core.account import Refused

    async def look(store: "RevisionStore") -> "tuple[Revision, dict[str, Any]] | Refused":
        try:
            revision = await _found(store, wanted)
        except _AbsentError as absent:
            return absent.refused
        document = {
            **revision_document(revision),
            "examined": dict(await store.examined(revision.number)),
            "log": [log_document(one) for one in await store.log(revision.number)],
        }
        if texts:
            document["texts"] = dict(await store.texts(revision.digest) or {})
        return revision, document

    found = _look(config, look)
    if isinstance(found, Refused):
        refuse(found, as_json)
    revision, document = found
    if as_json:
        print(json.dumps(document, indent=2))
        return
    _print(revision, as_json=False)
    _print_examined(document["examined"])
    for step in document["log"]:
        print(f"  {step['at']}  {step['act'].replace('_', ' ')}  by {step['who']}: {step['why']}")
    for name, text in document.get("texts", {}).items():
        print(f"\n# {name}\n{text}", end="")


def runs(config: Config = _DEFAULT, as_json: AsJson = False) -> None:
    """Show which policies each process decides by. Exit 1 where one does not run what is active.

    Example: gateway policy runs
    """
    from gateway.adapters.clock import SystemClock
    from gateway.api.policy_documents import run_document

    async def look(store: "RevisionStore") -> list[dict[str, Any]]:
        active = await store.active()
        digest, now = None if active is None else active.digest, SystemClock().now()
        return [run_document(one, digest, now) for one in await store.runs()]

    found = _look(config, look)
    if as_json:
        print(json.dumps({"runs": found}, indent=2))
    for one in () if as_json else found:
        why = "" if one["why"] is None else f": {one['why'].splitlines()[0]}"
        print(f"{one['machine']}  {one['worker']}  {one['digest'][:12]}  since {one['since']}  {one['state']}{why}")
    if any(one["state"] not in {"current", "silent"} for one in found):
        raise typer.Exit(1)


class _AbsentError(Exception):
    """There is no such revision."""

    def __init__(self, refused: "Refused") -> None:
        super().__init__(refused.message)
        self.refused = refused


async def _found(store: "RevisionStore", wanted: str) -> "Revision":
    from gateway.core.account import Refused

    found = await store.revision(wanted)
    if found is None:
        said = ascii(wanted[:64])[1:-1]
        raise _AbsentError(Refused("id", f"there is no revision `{said}`; `gateway policy revisions` lists them"))
    return found


def _as_publisher(
    config: Path,
    token_file: Path | None,
    as_json: bool,
    act: "Callable[[Publishing, RevisionStore, Person], Awaitable[Revision | Refused]]",
) -> "Revision":
    """Return what a person did; exit 1 where it is not done."""
    from gateway.adapters.revisions import RevisionStore
    from gateway.app.publishing import publishing_of
    from gateway.config import load

    settings = load(config)

    async def acted(store: "AccountStore", person: "Person") -> "Revision | Refused":
        try:
            return await act(publishing_of(settings, store), RevisionStore(store), person)
        except _AbsentError as absent:
            return absent.refused

    return in_store(config, None, token_file, as_json, acted)


def _look(config: Path, look: "Callable[[RevisionStore], Awaitable[Any]]") -> Any:  # noqa: ANN401 - what `look` returns
    from gateway.adapters.revisions import RevisionStore

    return ask(config, None, lambda store: look(RevisionStore(store)))


def _instant(text: str | None) -> int | None:
    from gateway.core.decision import parse_instant

    try:
        return None if text is None else parse_instant(text)
    except ValueError as fault:
        raise typer.BadParameter(str(fault), param_hint="--at") from None


def _print(revision: "Revision", as_json: bool) -> None:
    from gateway.api.policy_documents import revision_document

    document = revision_document(revision)
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print(f"revision {revision.name}: {document['state'].replace('_', ' ')}, version {revision.version}")
    print(f"  by {revision.author}, {document['proposed_at']}: {revision.message}")
    if revision.widens:
        print(f"  it opens something: {revision.reason}")
    if document["starts_at"] is not None:
        print(f"  to come into force at {document['starts_at']}")
    if (approval := document["approval"]) is not None:
        print(f"  approved by {approval['by']}, {approval['at']}: {approval['why']}")
        if approval["accepted_flips"] is not None:
            print(f"  although it changes much: {approval['accepted_flips']}")
    if document["state"] == "proposed":
        print(f"  waits for another person until {document['expires_at']}")
    if document["possible"]:
        print(f"  possible: {', '.join(document['possible']).replace('_', ' ')}")


def _print_examined(examined: dict[str, Any]) -> None:
    counted = [f"{examined[what]} {what}" for what in ("policies", "rules", "lists", "tests") if what in examined]
    if counted:
        print(f"  {', '.join(counted)}")
    difference = examined.get("diff") or {}
    for word, name in (("wider", "widenings"), ("narrower", "narrowings")):
        for one in difference.get(name, ()):
            print(f"  {word:<8}  {one['text']}")
    for one in examined.get("findings", ()):
        print(f"  {one['severity']:<8}  {one['file']}:{one['line']}: {one['message']}")
    simulation = examined.get("simulation") or {}
    if "not_run" in simulation:
        print(f"  recorded decisions were not decided again: {simulation['not_run']}")
    elif simulation:
        print(f"  of {simulation.get('decisions')} recorded decisions {simulation.get('flipped')} would change")
