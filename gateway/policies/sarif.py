"""Findings as SARIF 2.1.0, which code scanners read: what is wrong stands beside the line that is wrong."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from gateway.policies.codes import CODES
from gateway.policies.findings import Finding, Severity

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION: Final = "2.1.0"

_LEVEL: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(findings: Iterable[Finding], *, version: str) -> dict[str, Any]:
    """Return the findings as one run of SARIF. `version` is that of the gateway.

    Files are named as in the findings, relative to the folder in which the check ran.
    """
    listed = sorted(findings)
    codes = sorted({finding.code for finding in listed})
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {"name": "gateway policy", "version": version, "rules": [_rule(one) for one in codes]}
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, codes.index(finding.code)) for finding in listed],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    return {"id": code, "shortDescription": {"text": CODES.get(code, code)}}


def _result(finding: Finding, index: int) -> dict[str, Any]:
    # Scanners tell by the fingerprint that a finding is the same as yesterday: its line may have moved.
    known_by = f"{finding.place.file}\n{finding.code}\n{finding.message}"
    region = {"startLine": finding.place.line, "startColumn": finding.place.column}
    artifact = {"uri": quote(finding.place.file, safe="/:")}
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"finding/v1": sha256(known_by.encode()).hexdigest()},
    }
