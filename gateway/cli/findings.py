"""Findings about policies as commands print them: a line each, JSON, or SARIF for code scanners."""

import json
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import typer

from gateway.policies.findings import Finding
from gateway.policies.times import instant, meant_date


def refuse(findings: Iterable[Finding], *, as_json: bool) -> NoReturn:
    """Print what is wrong, and exit 1."""
    if as_json:
        print(json.dumps({"ok": False, "findings": rows(findings)}, indent=2))
    else:
        for finding in findings:
            print(finding, file=sys.stderr)
    raise typer.Exit(1)


def rows(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings as JSON says them."""
    return [
        {
            **finding.place._asdict(),
            "message": finding.message,
            "code": finding.code,
            "severity": finding.severity.value,
        }
        for finding in findings
    ]


def write_sarif(file: Path | None, findings: Iterable[Finding]) -> None:
    """Write findings for code scanners, where a file is named."""
    if file is None:
        return
    from gateway.policies.sarif import sarif

    document = json.dumps(sarif(findings, version=version("geofence-gateway")), indent=2)
    try:
        file.write_text(f"{document}\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"`{file}` cannot be written: {error.strerror}") from None


def instant_of(text: str | None) -> int:
    """Return the instant that somebody wrote, or now: microseconds since the epoch."""
    from gateway.adapters.clock import SystemClock

    if text is None:
        return SystemClock().now()
    try:
        return instant(text)
    except ValueError:
        hint = meant_date(text)
        raise typer.BadParameter(
            f"`{text}` is no date such as `2026-03-01`, nor a time with its offset{hint}"
        ) from None
