import pytest

from gateway.core.errors import PolicyError
from gateway.policies.findings import Finding, Place, Rejected, did_you_mean, quoted


def test_a_rejection_lists_every_finding_once_in_the_order_of_the_file():
    late, early = Finding(Place("a.yaml", 9, 1), "late"), Finding(Place("a.yaml", 2, 3), "early")
    rejected = Rejected([late, early, late])
    assert str(rejected) == "a.yaml:2:3: early\na.yaml:9:1: late"
    assert rejected.findings == (early, late)
    assert isinstance(rejected, PolicyError)


def test_a_rejection_says_no_more_than_anybody_reads():
    rejected = Rejected(Finding(Place("a.yaml", line, 1), "wrong") for line in range(1, 1_001))
    lines = str(rejected).splitlines()
    assert len(rejected.findings) == 1_000
    assert lines[-1] == "and 800 more findings"
    assert len(lines) == 201


@pytest.mark.parametrize(
    ("word", "options", "hint"),
    [
        ("contry", ["country", "continent"], ": did you mean `country`?"),
        ("STATUS", ["status", "flags"], ": did you mean `status`?"),
        ("auth-age", ["auth_age"], ": did you mean `auth_age`?"),
        ("xyz", ["b", "a"], ": it is one of `a`, `b`"),
        ("xyz", [f"option-{n}" for n in range(9)], ""),
        ("xyz", [], ""),
    ],
)
def test_a_hint_names_what_was_probably_meant(word, options, hint):
    assert did_you_mean(word, options) == hint


def test_what_somebody_wrote_is_cut_and_kept_on_one_line():
    assert quoted("a\nb") == "`a b`"
    assert len(quoted("x" * 500)) == 62
    assert quoted("x" * 60) == f"`{'x' * 60}`"
