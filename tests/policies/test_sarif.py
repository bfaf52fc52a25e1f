"""Findings as SARIF keep what the standard demands of the parts that we write (OASIS SARIF 2.1.0, 3.13 to 3.30)."""

import re

import pytest

from gateway.policies.findings import Finding, Place, Severity
from gateway.policies.sarif import sarif

FOUND = [
    Finding(Place("policies/far away.yaml", 8, 11), "unknown fact `contry`", "unknown-fact"),
    Finding(Place("policies/b.yaml", 1, 1), "the list is stale", "list-stale", Severity.WARNING),
    Finding(Place("library:us-exit.yaml", 6, 5), "out of force", "dates-passed", Severity.NOTE),
    Finding(Place("policies/b.yaml", 2, 1), "a code from elsewhere", "never-heard-of", Severity.NOTE),
]


def the_run(findings):
    document = sarif(findings, version="0.1.0")
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (only,) = document["runs"]
    return only


@pytest.mark.parametrize("findings", [[], FOUND, FOUND * 2])
def test_a_run_has_what_the_standard_demands(findings):
    run = the_run(findings)
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert driver["version"] == "0.1.0"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert run["columnKind"] in {"unicodeCodePoints", "utf16CodeUnits"}
    assert len(run["results"]) == len(findings)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert re.fullmatch(r"[A-Za-z0-9/:._~%-]+", physical["artifactLocation"]["uri"])  # RFC 3986
        assert min(physical["region"]["startLine"], physical["region"]["startColumn"]) >= 1


def test_a_finding_stands_where_it_was_found_as_bad_as_it_is():
    results = {result["ruleId"]: result for result in the_run(FOUND)["results"]}
    assert {code: result["level"] for code, result in results.items()} == {
        "unknown-fact": "error",
        "list-stale": "warning",
        "dates-passed": "note",
        "never-heard-of": "note",
    }
    physical = results["unknown-fact"]["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "policies/far%20away.yaml"
    assert physical["region"] == {"startLine": 8, "startColumn": 11}


def test_a_finding_that_moves_keeps_its_fingerprint():
    moved = FOUND[0]._replace(place=FOUND[0].place._replace(line=99))
    other = FOUND[0]._replace(message="unknown fact `contri`")
    marks = [the_run([one])["results"][0]["partialFingerprints"] for one in (FOUND[0], moved, other)]
    assert marks[0] == marks[1] != marks[2]
