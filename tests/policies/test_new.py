import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.countries import CONTINENT_OF
from gateway.core.errors import PolicyError
from gateway.policies.bundle import load
from gateway.policies.coverage import coverage
from gateway.policies.findings import Severity
from gateway.policies.format import formatted
from gateway.policies.new import scaffold
from gateway.policies.review import review
from gateway.policies.times import instant

FROM, UNTIL = instant("2026-03-01"), instant("2026-06-01")
DATES = [{}, {"start": FROM}, {"start": FROM, "exit_until": UNTIL}]


def test_what_is_made_loads_for_every_country():
    for at, country in enumerate(sorted(CONTINENT_OF)):
        dates = DATES[at % len(DATES)]
        (policy,) = load({"new.yaml": scaffold("new", country, **dates)}, sources_configured=None).policies
        assert len(policy.rules) == max(1, len(dates))


@pytest.mark.parametrize("dates", DATES, ids=["at once", "from a date", "with a window"])
def test_what_is_made_is_tested_throughout_and_laid_out_as_it_should_be(dates):
    text = scaffold("new", "FR", **dates)
    bundle = load({"new.yaml": text}, sources_configured=None)
    assert coverage(bundle.policies, bundle.lists).findings() == []
    assert formatted("new.yaml", text) == text


def test_what_is_still_to_be_written_is_a_warning():
    bundle = load({"new.yaml": scaffold("new", "FR", start=FROM)}, sources_configured=None)
    assert [one.code for one in review(bundle, FROM) if one.severity is Severity.WARNING] == ["to-fill-in"]
    bundle = load({"new.yaml": scaffold("new", "FR", start=FROM, basis="Legal memo 7")}, sources_configured=None)
    assert [one.code for one in review(bundle, FROM)] == ["nothing-granted"]  # it is a part, beside others


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40))
def test_whatever_is_given_as_owner_and_basis_is_what_the_policy_says(text):
    policy = load({"n.yaml": scaffold("n", "FR", owner=text, basis=text)}, sources_configured=None).policies[0]
    assert policy.owner == policy.rules[0].basis == text


@pytest.mark.parametrize(
    ("name", "country", "dates", "message"),
    [
        ("new", "France", {}, "did you mean `FR`"),
        ("new", "UK", {}, "did you mean `GB`"),
        ("New one", "FR", {}, "`New one` is no name"),
        ("new", "FR", {"exit_until": UNTIL}, "begins at a date"),
        ("new", "FR", {"start": instant("0001-01-01")}, "`0001-01-01` is long ago"),
        ("new", "FR", {"start": UNTIL, "exit_until": FROM}, "ends two days after it or later"),
    ],
)
def test_what_cannot_be_is_refused(name, country, dates, message):
    with pytest.raises(PolicyError, match=message):
        scaffold(name, country, **dates)
