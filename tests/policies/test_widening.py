"""A widening needs to be allowed, with a reason."""

import pytest

from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.diff import Diff, diff
from gateway.policies.widening import LONGEST_REASON, refuse_widening

POLICY = """
policy: far
title: Far away
owner: tests
rules:
  - {id: all, grant: full, when: true}
  - {id: far, limit: read_only, when: 'country in ["CU", "IR"]', reason: hold, basis: b}
"""


def bundle(old: str = "", new: str = "") -> Bundle:
    return assemble({"far.yaml": POLICY.replace(old, new)}, sources_configured=None)


WIDER = diff(bundle(), bundle('["CU", "IR"]', '["CU"]'))
NARROWER = diff(bundle(), bundle('["CU", "IR"]', '["CU", "IR", "KP"]'))


def test_a_widening_is_refused_with_what_it_is() -> None:
    refusal = refuse_widening(WIDER, allowed=False, reason="")
    assert refusal is not None
    assert "far/far changed" in refusal
    assert "country IR" in refusal


def test_a_reason_alone_allows_nothing() -> None:
    assert refuse_widening(WIDER, allowed=False, reason="Counsel says so") is not None


def test_a_widening_that_is_allowed_with_a_reason_is_not_refused() -> None:
    assert refuse_widening(WIDER, allowed=True, reason="Counsel says so") is None


@pytest.mark.parametrize("reason", ["", "  ", "x" * (LONGEST_REASON + 1)])
def test_allowing_needs_a_reason_that_says_something(reason: str) -> None:
    assert refuse_widening(WIDER, allowed=True, reason=reason) is not None


def test_a_narrowing_needs_nothing() -> None:
    assert NARROWER.narrowings
    assert refuse_widening(NARROWER, allowed=False, reason="") is None


def test_what_could_not_be_searched_to_the_end_counts_as_a_widening() -> None:
    cut: Diff = NARROWER._replace(complete=False)
    assert refuse_widening(cut, allowed=False, reason="") is not None
    assert refuse_widening(cut, allowed=True, reason="Looked at by hand") is None


def test_nothing_is_refused_where_nothing_differs() -> None:
    assert refuse_widening(diff(bundle(), bundle()), allowed=False, reason="") is None
