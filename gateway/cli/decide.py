"""`gateway decide`, `explain`, `replay`, `doctor`: ask the line, and the record of what it said."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli import logs
from gateway.cli.filters import Unmask, leave_for
from gateway.core.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from gateway.app.offline import WhatIf
    from gateway.core.request import AccessRequest

Config = Annotated[Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(decide)
    app.command()(explain)
    app.command()(replay)
    app.command()(doctor)


def decide(
    requests: Annotated[str, typer.Option("--requests", "-r", help="NDJSON, one request a line; `-` is stdin.")] = "-",
    config: Config = Path("gateway.toml"),
    country: Annotated[str | None, typer.Option(help="What if every request came from this country?")] = None,
    account: Annotated[str | None, typer.Option(help="What if this account were signed in, with fresh MFA?")] = None,
    at: Annotated[str | None, typer.Option(help="What if it were this instant (RFC 3339)?")] = None,
    bundle: Annotated[list[str] | None, typer.Option(help="Decide by these policies instead.")] = None,
    as_json: AsJson = False,  # noqa: ARG001 - the answer is JSON either way; scripts may say so
) -> None:
    """Decide requests without serving them, and print one Decision a line. Records nothing.

    Each line is {"peer", "method", "target", "headers": [[name, value], ...], "at"}; `at` defaults to now.

    Example: echo '{"peer": "203.0.113.9", "method": "POST", "target": "/api/v1/withdrawals"}' | gateway decide
    """
    from gateway.app.offline import WhatIf

    out = sys.stdout.buffer
    what_if = WhatIf(country, account, tuple(bundle or ()))
    with _lines(requests) as lines:
        _ask(config, lines, lambda decision: out.write(decision + b"\n"), what_if, at)
    out.flush()


def explain(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="A decision id; `-` reads a Decision from stdin.")],
    role: Annotated[str, typer.Option(help="For whom: support, analyst or auditor.")] = "support",
    language: Annotated[str, typer.Option(help="The customer's language, such as `de` or `pt-BR`.")] = "en",
    now: Annotated[bool, typer.Option("--now", help="Say too whether it would be the same now, and why not.")] = False,
    unmask: Unmask = None,
    config: Config = Path("gateway.toml"),
    as_json: AsJson = False,
) -> None:
    """Say in sentences what was decided, why, and what would change the answer.

    Support sees no whole address, user agent or country of a person; an auditor sees the record. Whoever sees more than
    support says why (`--unmask`), and the audit keeps it.

    Example: gateway explain 0197b2c4-7a01-7c3e-9d55-1f0e8a9b6c21 --now
    """
    from gateway.app.records import Records
    from gateway.core.customer import language_of
    from gateway.core.masking import Reader

    if role not in list(Reader):
        raise typer.BadParameter(f"`{role}` is no role: support, analyst or auditor", param_hint="--role")
    if role != Reader.SUPPORT and unmask is None:
        raise typer.BadParameter(
            f"{role} sees more than support; say why, as in --unmask 'ticket 4711'", param_hint="--role"
        )

    records = Records.of(config)
    document = _stdin_document() if decision_id == "-" else records.find(decision_id)
    if document is None:
        _say_no(f"no decision {decision_id} is on record in {records.directory}")
    comparison = records.compare(document) if now else None
    leave = None if unmask is None else leave_for(config, document, Reader(role), unmask)
    explanation = records.explain(document, Reader(role), leave, language_of(language), comparison)
    print(json.dumps(explanation.to_json(), indent=2) if as_json else explanation.text())


def replay(
    decision_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Decision ids; `-` is stdin.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Every decision since this instant, or since 90m, 24h, 7d.")] = None,
    config: Config = Path("gateway.toml"),
    as_json: AsJson = False,
) -> None:
    """Decide recorded decisions again, from their own record and bundle, and report any difference. Exit 1 if any.

    Example: gateway replay --since 24h
    """
    from gateway.app.records import Records

    if not decision_ids and since is None:
        raise typer.BadParameter("name decision ids, or say --since", param_hint="ID")
    records = Records.of(config)
    counts = {"same": 0, "different": 0, "impossible": 0}
    for document in _documents(records, decision_ids or (), since):
        outcome = records.replay(document)
        counts[outcome.kind] += 1
        if as_json:
            print(json.dumps(outcome.to_json()))
        elif since is None or outcome.kind != "same":
            print(outcome.text())
    if since is not None and not as_json:
        print(", ".join(f"{number} {kind}" for kind, number in counts.items()))
    if counts["different"] or counts["impossible"]:
        raise typer.Exit(1)


def doctor(
    peer: Annotated[str, typer.Option(help="The address at the other end of the connection.")] = "127.0.0.1",
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="A header, as `Name: value`.")] = None,
    method: Annotated[str, typer.Option("--method", "-X", help="The method.")] = "GET",
    target: Annotated[str, typer.Option(help="The request target.")] = "/",
    config: Config = Path("gateway.toml"),
    as_json: AsJson = False,
) -> None:
    """Show which client address a request is held to come from, hop by hop, and what the databases say of it.

    Example: gateway doctor --peer 10.0.0.7 -H 'X-Forwarded-For: 8.8.8.8, 10.0.0.3' -X POST --target /api/v1/orders
    """
    from gateway.app.offline import WhatIf

    headers = [_header(text) for text in header or ()]
    document = {"peer": peer, "method": method, "target": target, "headers": headers}
    told: list[bytes] = []
    _ask(config, [json.dumps(document).encode()], told.append, WhatIf(), None)
    decision = json.loads(told[0])
    if as_json:
        print(json.dumps(decision, indent=2))
        return
    print("\n".join(_diagnosis(decision, peer)))


def _diagnosis(decision: dict[str, Any], peer: str) -> Iterator[str]:
    client = decision["client_ip"]
    yield f"peer       {peer}"
    for hop in client["chain"]:
        yield f"  hop      {hop['text']:<40} {hop['role']}"
    reason = f", {client['reason']}" if client["reason"] else ""
    yield f"client     {client['address'] or 'unresolved'}  ({client['how']}{reason})"
    if decision.get("ambiguous"):
        yield f"refused    400: {decision['ambiguous']['detail']} ({decision['ambiguous']['why']})"
        return
    for name in ("country", "subdivision", "continent", "asn", "network"):
        if name in decision["facts"]:
            value = decision["facts"][name]
            yield f"{name:<10} {', '.join(value) or '(none)' if isinstance(value, list) else value}"
        else:
            entry = decision["unknown"][name]
            options = [str(one) for one in entry.get("one_of", ())] + [f"{one}…" for one in entry.get("prefixes", ())]
            yield f"{name:<10} not certain: {entry['why']}" + (f", one of {', '.join(options)}" if options else "")
    yield f"editions   {', '.join(decision['editions'])}"
    yield f"operation  {decision['operation']}"
    verdict = decision["verdict"]
    rules = ", ".join(f"{rule['policy']}/{rule['rule']}" for rule in verdict["by"])
    yield f"verdict    {verdict['outcome']}, access {verdict['access']}" + (f", by {rules}" if rules else "")


def _ask(
    config: Path, lines: Iterable[bytes], write: Callable[[bytes], object], what_if: "WhatIf", at: str | None
) -> None:
    import uvloop

    from gateway.adapters.clock import SystemClock
    from gateway.app.offline import decide_offline, read_request
    from gateway.config import load

    logs.to_stderr()
    clock = SystemClock()

    def requests() -> Iterator["AccessRequest"]:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield read_request(line, clock, at)
                except ValueError as fault:
                    raise ConfigError(f"request {number}: {fault}") from fault

    uvloop.run(decide_offline(load(config), requests(), write, what_if))


def _lines(name: str) -> "IO[bytes]":
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as fault:
        msg = f"cannot read {name}: {fault.strerror}"
        raise ConfigError(msg) from fault


def _documents(records: Any, ids: Iterable[str], since: str | None) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    if since is not None:
        yield from records.since(since)
    for decision_id in ids:
        document = _stdin_document() if decision_id == "-" else records.find(decision_id)
        if document is None:
            _say_no(f"no decision {decision_id} is on record in {records.directory}")
        yield document


def _stdin_document() -> dict[str, Any]:
    try:
        document = json.load(sys.stdin)
    except ValueError as fault:
        msg = f"stdin does not hold one Decision as JSON: {fault}"
        raise GatewayError(msg) from fault
    if not isinstance(document, dict) or "verdict" not in document:
        msg = "stdin does not hold a Decision: it has no `verdict`"
        raise GatewayError(msg)
    return document


def _header(text: str) -> list[str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"`{text}` has no colon; write `Name: value`", param_hint="--header")
    return [name.strip(), value.strip()]


def _say_no(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)
