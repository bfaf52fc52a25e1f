from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies import library
from gateway.policies.bundle import assemble
from gateway.policies.findings import Rejected
from gateway.policies.format import formatted

SHIPPED = sorted(Path(library.__file__).parent.rglob("*.yaml"))
UNTIDY = """\
# yaml-language-server: $schema=x
# about the file

title: 'Canada'\x20\x20
# about the policy
policy: c


owner: o
rules:
# about the first rule
- grant: full    # everybody
  # about the id
  id: a
  when: true
-   limit: none
    basis: b
    reason: hold
    when: >-
        country == "CA"
          or residence == "CA"
    on_match:
    -   flag: x
    # about the second duty
    - {ticket: 'y'}
    id: b
    in_force:
            until: 2026-01-01
            from: 2025-01-01
  # about the rules
tests: []


# about the end
"""
TIDY = """\
# yaml-language-server: $schema=x
# about the file

# about the policy
policy: c
title: "Canada"

owner: o
rules:
  # about the first rule
  # about the id
  - id: a
    grant: full    # everybody
    when: true
  - id: b
    limit: none
    when: >-
        country == "CA"
          or residence == "CA"
    reason: hold
    basis: b
    in_force:
      from: 2025-01-01
      until: 2026-01-01
    on_match:
      - flag: x
      # about the second duty
      - {ticket: "y"}
# about the rules
tests: []

# about the end
"""


def test_fields_indentation_and_quotes_are_put_in_order_and_comments_stay():
    assert formatted("f", UNTIDY) == TIDY


def test_formatting_what_is_formatted_changes_nothing():
    assert formatted("f", TIDY) == TIDY


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_is_formatted(path):
    assert formatted(path.name, path.read_text()) == path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "list: l\nentries:\n- US\n-   CA\n",
        "list: l\nentries:\n    [US,\n      CA]\n",
        "exceptions: e\nentries:\n- from: 2026-01-01\n  id: a\n",
        "policy: p\ntitle: |\n  one\n\n\n   # two\n  three\n",
        "policy: p\r\ntitle: t\r\n",
        "policy: p\nrules:\n-\n  id: a\n",
        "policy: p\nrules:\n- # first\n  id: a\n",
        "policy: p\nrules:\n- - a\n  - b\n",
        "policy: p\nunknown: x\ntitle: 'it''s'\n",
        "--- \npolicy: p\n",
    ],
)
def test_whatever_the_form_the_second_time_changes_nothing(text):
    once = formatted("f", text)
    assert formatted("f", once) == once
    assert "\r" not in once


@pytest.mark.parametrize(
    "text", ["a: &x [1]\nb: *x\nrules:\n- *x\n", "- a\n", "policy: 'a\u2028b'\n", "policy: p\n...\n# x\n"]
)
def test_what_cannot_be_laid_out_without_doubt_is_refused_or_says_the_same(text):
    try:
        once = formatted("f", text)
    except Rejected as refused:
        assert "cannot be laid out" in str(refused)  # noqa: PT017 - either end is fine
    else:
        assert formatted("f", once) == once


def untidied(rng: Random, text: str) -> str:
    """Return the text as somebody in a hurry leaves it."""
    for _ in range(rng.randint(1, 5)):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                lines.insert(at, f"{' ' * rng.randint(0, 9)}# note {rng.randint(0, 99)}")
            case 1:
                lines.insert(at, "")
            case 2:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = f"{' ' * rng.randint(0, 6)}{lines[at]}  "
            case 4:
                lines = [f"  {line}" if line.strip() else "" for line in lines]
            case 5:
                lines[at] = lines[at].replace('"', "'")
            case 6:
                lines[at] = lines[at].replace("- ", "-   ", 1)
        text = "\n".join(lines)
    return text


def assembled(text: str):
    """Return what a text says, or None where that cannot be read. Places do not count."""
    try:
        bundle = assemble({"f": text}, sources_configured=None)
    except Rejected:
        return None
    return [
        (policy.name, policy.title, policy.rules, [test._replace(place=None) for test in policy.tests])
        for policy in bundle.policies
    ]


@given(st.integers(0, 2**32))
def test_formatting_never_changes_what_a_policy_says_and_is_idempotent(seed):
    rng = Random(seed)
    text = untidied(rng, rng.choice(SHIPPED).read_text()[: rng.choice((800, 3_000))])
    try:
        once = formatted("f", text)
    except Rejected:
        return
    assert formatted("f", once) == once
    assert assembled(once) == assembled(text)
