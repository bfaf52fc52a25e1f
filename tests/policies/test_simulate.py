"""What is weighed together is what no rule tells apart. That the counts are right is proved over the archives."""

import orjson
import pytest

from gateway.core.alike import Alike
from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import WhyUnknown
from gateway.policies.evaluate import evaluate
from gateway.policies.simulate import Answer, Turn, Weigher, answer_in, answer_of, named
from tests.recorded import AT, HOUR, bundle, facts, limit, ruling

NOTHING = bundle()
WINDOW = (AT - HOUR, AT + HOUR)


def alike(**values):
    raw = {"ruling": 1, "matter": bytes(16), "account": "alice", "address": None, "asn": (7).to_bytes(4, "big")}
    return Alike(**{**raw, "decisions": 1, "earliest": AT, "latest": AT, **values})


def variety(candidate, some=None, **more):
    document = orjson.loads(ruling(facts() if some is None else some, NOTHING))
    return Weigher(candidate, None, *WINDOW, **more).variety(document)


def test_accounts_are_told_apart_that_a_rule_names_and_no_others() -> None:
    weigher = Weigher(bundle(limit("r", 'account in ["alice", "bob"]')), None, *WINDOW)
    keys = [weigher.key(alike(account=one)) for one in ("alice", "bob", "carol", "dave", None)]
    assert len(set(keys)) == 3
    assert keys[2] == keys[3] == keys[4]


def test_where_no_rule_names_an_account_or_a_network_nobody_is_told_apart() -> None:
    weigher = Weigher(bundle(limit("r", 'country == "US"')), None, *WINDOW)
    assert weigher.key(alike()) == weigher.key(alike(account="bob", asn=None))


@pytest.mark.parametrize("when", ["asn == 7", "asn < 10"])
def test_networks_are_told_apart_where_a_rule_asks(when) -> None:
    weigher = Weigher(bundle(limit("r", when)), None, *WINDOW)
    assert weigher.key(alike()) != weigher.key(alike(asn=(8).to_bytes(4, "big")))


def test_what_nothing_changes_is_settled_at_once() -> None:
    found = variety(bundle(limit("r", 'country == "DE"')))
    assert found.always is not None
    assert found.always.flipped
    assert found.always.rules == ("p/r",)


def test_a_date_within_settles_what_lies_on_one_side_of_it() -> None:
    found = variety(bundle(limit("r", "True", ", in_force: {from: 2025-11-21T04:40:00Z}")))
    assert found.always is None
    assert found.settled(AT - 2, AT - 1).after.outcome == "allow"
    assert found.settled(AT, AT + 5).after.outcome == "deny"
    assert found.settled(AT - 1, AT) is None


def test_a_date_outside_the_window_asks_nothing() -> None:
    assert variety(bundle(limit("r", "True", ", in_force: {from: 2025-11-22}"))).always is not None


def test_an_age_is_asked_of_each_where_a_rule_asks_and_it_matters() -> None:
    candidate = bundle(
        "{id: r, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: hold, basis: b}"
    )
    found = variety(candidate)
    assert found.settled(AT, AT) is None
    assert found.turn(AT, 300).after.outcome == "allow"
    assert found.turn(AT, 301).after.outcome == "challenge"
    assert variety(candidate, facts(operation="view")).always is not None
    assert variety(candidate, facts(auth_age=Unknown(WhyUnknown.STORE_UNAVAILABLE))).always is not None


def test_amounts_are_asked_of_each_where_a_rule_asks() -> None:
    candidate = bundle(limit("r", "amount_usd > 100"))
    assert not variety(candidate).whole
    found = variety(candidate, facts(amount_usd=7.5))
    assert (found.whole, found.paid, found.settled(AT, AT)) == (True, True, None)
    document = orjson.loads(ruling(facts(amount_usd=101), NOTHING))
    own = Weigher(candidate, None, *WINDOW).facts(document, AT, 3, found)
    assert (own.amount_usd, own.auth_age) == (101, 3)
    assert found.turn_of(own).after.outcome == "deny"


def test_what_was_refused_unread_is_not_weighed() -> None:
    document = {**orjson.loads(ruling(facts(), NOTHING)), "verdict": None}
    assert Weigher(NOTHING, None, *WINDOW).variety(document) == "refused unread"


def test_an_erased_account_is_weighed_only_where_it_does_not_matter_or_its_digest_is_known() -> None:
    names = bundle(limit("r", 'account == "alice"'))
    document = {**orjson.loads(ruling(facts(account="hmac:1"), NOTHING)), "erased": ["account"]}
    assert Weigher(names, None, *WINDOW).variety(document) == "the account was erased"
    assert Weigher(NOTHING, None, *WINDOW).variety(document).always is not None
    for digests, outcome in (({"hmac:1": "alice"}, "deny"), ({"hmac:2": "alice"}, "allow")):
        weigher = Weigher(names, None, *WINDOW, digests=digests)
        assert weigher.variety(document).always.after.outcome == outcome
    doubt = {"account": OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"hmac:1"}))}
    unsure = {**orjson.loads(ruling(facts(**doubt), NOTHING)), "erased": ["account"]}
    assert Weigher(names, None, *WINDOW, digests={"hmac:1": "alice"}).variety(unsure).always.after.outcome == "deny"


def test_what_is_known_now_stands_in_place_of_what_was() -> None:
    document = orjson.loads(ruling(facts(), NOTHING))
    found = Weigher(bundle(limit("r", 'country == "US"')), None, *WINDOW).variety(document, {"country": "US"})
    assert found.always.flipped
    assert found.moved == ("DE", "US")


def test_an_answer_reads_the_same_from_the_record() -> None:
    made_by = bundle("{id: r, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: hold, basis: b}")
    some = facts(auth_age=900)
    document = orjson.loads(ruling(some, made_by))
    assert answer_in(document["verdict"]) == answer_of(evaluate(some, made_by))
    assert answer_in(document["verdict"]).proof == ("mfa", 300)


def test_a_change_comes_by_what_refuses_now_or_no_longer_does() -> None:
    allowed, denied = Answer("allow", None, (), None), Answer("deny", "hold", ("p/r",), None)
    assert Turn(allowed, denied).rules == Turn(denied, allowed).rules == ("p/r",)
    assert Turn(denied, denied._replace(by=())).rules == ()


def test_against_another_bundle_what_was_answered_does_not_count() -> None:
    document = orjson.loads(ruling(facts(), bundle(limit("old", "True"))))
    found = Weigher(NOTHING, bundle(limit("new", "True")), *WINDOW).variety(document).always
    assert found.before.by == ("p/new",)


def test_the_accounts_that_rules_name_are_known() -> None:
    assert named([bundle(limit("r", 'account in ["alice", "bob"]')), NOTHING]) == {"alice", "bob"}
