"""Who may do what, in every country."""

from random import Random

import pytest

from gateway.core.countries import CONTINENT_OF
from gateway.core.errors import PolicyError
from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Operation, Outcome, Status
from gateway.policies import reference
from gateway.policies.bundle import assemble
from gateway.policies.domains import CUSTOMER
from gateway.policies.matrix import COLUMNS, UNKNOWN, matrix
from tests.policies import small

POLICY = """
policy: p
title: t
owner: o
rules:
  - {id: all, grant: full, when: status == "open"}
  - {id: far, limit: read_only, when: 'country in ["CU", "IR"]', reason: jurisdiction-blocked, basis: b}
  - {id: part, limit: none, when: subdivision == "US-NY", reason: jurisdiction-blocked, basis: b}
  - {id: fresh, require: {for: [withdraw], proof: phishing_resistant}, when: true, reason: step-up-required, basis: b}
"""
BUNDLE = assemble({"p.yaml": POLICY}, sources_configured=None)
FEW = (Operation.VIEW, Operation.WITHDRAW)


def test_places_that_no_rule_tells_apart_are_one_line() -> None:
    found = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN])
    assert list(found.text()) == [
        "status open       view  withdraw",
        f"all others ({len(CONTINENT_OF) - 2})  yes   ask",
        "CU, IR            yes   no",
        "US-NY             no    no",
        "unknown           no    no",
        "",
        "yes: open; ask: open once a proof is given; no: closed",
    ]


def test_every_country_and_every_part_that_a_rule_names_has_its_row() -> None:
    found = matrix(BUNDLE, 0)
    assert {row.place for row in found.rows} == {*CONTINENT_OF, "US-NY", UNKNOWN}
    assert len(list(found.csv())) == 1 + len(found.rows) * len(found.operations) * len(found.statuses)


def test_the_answers_name_their_reason_and_their_rules() -> None:
    heading, *rows = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN]).csv()
    assert heading == COLUMNS
    assert ("CU", "Cuba", "open", "withdraw", "deny", "jurisdiction-blocked", "p/far p/fresh") in rows
    assert ("PT", "Portugal", "open", "view", "allow", "", "") in rows


def test_facts_can_be_stated_besides() -> None:
    plain = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN])
    strong = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN], facts={"assurance": 3})
    cell = (Status.OPEN, Operation.WITHDRAW)
    assert plain.rows[0].cells[cell].outcome is Outcome.CHALLENGE
    assert strong.rows[0].cells[cell].outcome is Outcome.ALLOW


@pytest.mark.parametrize("name", ["country", "status", "operation", "subdivision", "continent"])
def test_what_the_matrix_varies_cannot_be_stated(name: str) -> None:
    with pytest.raises(PolicyError, match=f"`{name}` is what the matrix varies"):
        matrix(BUNDLE, 0, facts={name: "x"})


def test_the_map_shows_each_country_and_tells_the_parts() -> None:
    drawn = matrix(BUNDLE, 0, operations=[Operation.VIEW], statuses=[Status.OPEN]).svg(Status.OPEN)
    assert "Cuba: open" in drawn
    assert "closed, or open for support alone; so are US-NY" in drawn
    mixed = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN]).svg(Status.OPEN)
    assert "Cuba: closed: withdraw" in mixed
    left = matrix(BUNDLE, 0, operations=[Operation.WITHDRAW, Operation.SUPPORT], statuses=[Status.OPEN])
    assert {left._shade(row, Status.OPEN) for row in left.rows if row.place == "CU"} == {"deny"}


def test_json_says_which_places_are_alike() -> None:
    document = matrix(BUNDLE, 0, operations=FEW, statuses=[Status.OPEN]).to_json()
    places = [group["places"] for group in document["groups"]]
    assert ["CU", "IR"] in places
    assert sum(map(len, places)) == len(CONTINENT_OF) + 2


@pytest.mark.parametrize("seed", range(12))
def test_each_answer_is_the_one_that_the_specification_gives(seed: int) -> None:
    rng = Random(seed)
    together = rng.choice([facts for facts in small.TOGETHER if {"country", "subdivision", "flags"} & set(facts)])
    bundle = small.bundle_of(small.rules(rng, together))
    found = matrix(bundle, small.AT, operations=FEW, statuses=[Status.OPEN, Status.FLAGGED])
    for row in found.rows:
        country, part = row.place[:2], row.place if "-" in row.place else f"{row.place[:2]}-00"
        nowhere = Unknown(small.WHY)
        placed = (
            {"country": nowhere, "subdivision": nowhere, "continent": nowhere, "asn": nowhere}
            if row.place == UNKNOWN
            else {"country": country, "subdivision": part, "continent": CONTINENT_OF[country], "asn": 64_496}
        )
        for (status, operation), cell in row.cells.items():
            stated = {**CUSTOMER, **placed, "status": str(status)}
            verdict = reference.evaluate(Facts(at=small.AT, operation=operation, **stated), bundle)  # type: ignore[arg-type]
            assert (cell.outcome, cell.reason) == (verdict.outcome, verdict.reason)
