import pytest

from gateway.core.errors import PolicyError
from gateway.policies import bundle as bundles
from gateway.policies.bundle import digest_of, load
from gateway.policies.findings import Rejected
from gateway.policies.schema import Sources

GRANT = "policy: base\ntitle: t\nowner: o\nrules:\n  - {id: all, grant: full, when: true}\n"
LIMIT = """\
policy: far
title: t
owner: o
rules:
  - id: far
    limit: read_only
    when: country in far_away
    reason: hold
    basis: b
tests:
  - name: Far away is far
    facts: {country: CU}
    operation: withdraw
    expect: {outcome: deny, by: [far]}
"""
LIST = "list: far-away\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [CU]\n"
ALL = {"base.yaml": GRANT, "far.yaml": LIMIT, "lists/far.yaml": LIST}


def test_a_bundle_is_all_that_was_given():
    bundle = load(ALL, sources_configured=None)
    assert [policy.name for policy in bundle.policies] == ["base", "far"]
    assert [rule.id for rule in bundle.rules] == ["all", "far"]
    assert bundle.lists["far_away"].entries == {"CU"}
    assert bundle.sources == ALL
    assert bundle.digest == digest_of(ALL)


def test_the_digest_is_that_of_names_and_texts_in_any_order():
    assert digest_of(ALL) == digest_of(dict(reversed(ALL.items())))
    assert digest_of(ALL) == load(dict(reversed(ALL.items())), sources_configured=None).digest
    assert len({digest_of(one) for one in ({}, {"a": "b"}, {"ab": ""}, {"": "ab"}, {"a": "", "b": ""})}) == 5
    assert digest_of(ALL | {"base.yaml": GRANT + "\n"}) != digest_of(ALL)


def test_the_digest_never_changes_its_meaning():
    """Decisions on record name their bundle by it."""
    assert digest_of({"a.yaml": "x\n"}) == "78668c651d02a2056da07d33f814e723bdb89ac6dbaaa6089908e56bd2de5f40"


@pytest.mark.parametrize(
    ("sources", "messages"),
    [
        ({}, ["policies:1:1: there are no policy files: nothing would ever be granted"]),
        ({"l.yaml": LIST}, ["l.yaml:1:1: there are lists or exceptions but no policy: nothing would ever be granted"]),
        (
            {**ALL, "again.yaml": LIST},
            ["lists/far.yaml:1:1: a second list named `far-away`: the first stands in again.yaml"],
        ),
        ({"far.yaml": LIMIT}, ["far.yaml:7:11: unknown list `far_away` in rule `far`"]),
        (
            {"a.yaml": "policy: A", "b.yaml": "list: x"},
            ["a.yaml:1:1: the policy lacks `owner`", "a.yaml:1:9: `A` is no name", "b.yaml:1:1: the list lacks `kind`"],
        ),
        (
            {**ALL, "far.yaml": LIMIT.replace("deny, by: [far]", "allow")},
            ["far.yaml:11:5: test `Far away is far` fails: expected the outcome allow, and it is deny (by `far`)"],
        ),
        (
            {**ALL, "far.yaml": LIMIT.partition("tests:")[0]},
            ["far.yaml:5:5: no test is determined by rule `far`: add one that this limit refuses"],
        ),
    ],
)
def test_a_bundle_is_loaded_whole_or_not_at_all(sources, messages):
    with pytest.raises(PolicyError) as caught:
        load(sources, sources_configured=None)
    for message in messages:
        assert message in str(caught.value)


def test_what_has_no_source_does_not_load():
    with pytest.raises(Rejected, match="no source of `country`"):
        load(ALL, sources_configured=Sources(frozenset(), frozenset()))


def test_files_are_bounded(monkeypatch):
    monkeypatch.setattr(bundles, "MAX_FILES", 2)
    with pytest.raises(PolicyError, match="there are more than 2 files"):
        load(ALL, sources_configured=None)
