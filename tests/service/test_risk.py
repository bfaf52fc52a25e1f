import asyncio
from collections.abc import Mapping

import pytest

from gateway.core.client_ip import ClientIP, How
from gateway.core.errors import StoreUnavailable
from gateway.core.everyone import Global
from gateway.core.facts import OneOf, Unknown
from gateway.core.login import Digests, Place, destination_about, device_about, login_of, network_about
from gateway.core.profile import Profile
from gateway.core.signals import Lines
from gateway.core.stuffing import Networks
from gateway.core.terms import Operation, WhyUnknown
from gateway.core.verdict import Obligation, RuleRef
from gateway.core.withdrawal_request import Asked
from gateway.policies.bundle import load
from gateway.ports import Connection, Identity
from gateway.service.devices import Seen
from gateway.service.risk import Came, Risk, abouts

SECOND, DAY = 1_000_000, 86_400_000_000
NOW = 1_763_700_000 * SECOND
DIGESTS = Digests(b"k" * 32)
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOME = ClientIP("2.80.10.20", How.PEER, geo_key="2.80.10.20")
PORTUGAL = Connection("PT", "PT-11", "EU", 3243, frozenset())
ALICE = Identity("session", "valid", "alice", 2, NOW, None, session="s-1")
PHONE = Came(AGENT, Seen("phone"))
LAPTOP = Came(AGENT, Seen("laptop"))
POLICY = """\
policy: odd
title: What is odd
owner: tests
rules:
  - id: all
    grant: full
    when: status == "open"
  - id: device
    limit: read_only
    when: '"unfamiliar_device" in signals'
    reason: unfamiliar-login
    basis: The tests
    on_refusal: [{ticket: unfamiliar_login}]
  - id: score
    limit: read_only
    when: risk == "high"
    reason: unfamiliar-login
    basis: The tests
    on_refusal: [{ticket: unfamiliar_login}]
  - id: plain
    limit: read_only
    when: '"withdraw" in holds'
    reason: hold
    basis: The tests
    on_refusal: [{ticket: unfamiliar_login}]
tests:
  - name: A new device
    facts: {status: open, signals: [unfamiliar_device]}
    operation: withdraw
    expect: {outcome: deny, by: [device]}
  - name: A high score
    facts: {status: open, risk: high}
    operation: withdraw
    expect: {outcome: deny, by: [score]}
  - name: A hold
    facts: {status: open, holds: [withdraw]}
    operation: withdraw
    expect: {outcome: deny, by: [plain]}
"""


class FakeProfiles:
    """Profiles of some accounts."""

    generation = 1

    def __init__(self, profiles: Mapping[str, Profile], fault: Exception | None = None) -> None:
        self.profiles, self.fault = profiles, fault
        self.everyone, self.networks = Global(width=1024), Networks()

    async def read(self, uid: str) -> Profile | None:
        if self.fault is not None:
            raise self.fault
        return self.profiles.get(uid)


def known() -> Profile:
    """Who came from Portugal by the telephone for months, and sent money to one place."""
    profile = Profile()
    for number in range(40):
        at = NOW - (120 - 2 * number) * DAY
        profile.observe(
            login_of(DIGESTS, at, event_id=f"l{number}", ip="2.80.10.20", agent=AGENT, device="phone",
                     session=f"s{number}", country="PT", asn=3243)
        )  # fmt: skip
    login = login_of(DIGESTS, NOW - 50 * DAY, ip="2.80.10.20", agent=AGENT, device="phone", country="PT", asn=3243)
    profile.confirm(login, (), DIGESTS.text(b"destination", "bc1-old"))
    return profile


def measure(identity=ALICE, came=PHONE, operation=Operation.WITHDRAW, asked=None, *, fault=None, connection=PORTUGAL):
    profiles = FakeProfiles({"alice": known()}, fault)
    risk = Risk(profiles=profiles, digests=DIGESTS, lines=Lines(0.0, 4.9))
    asked = asked or Asked(10.0, 0.1, "bc1-old")
    return asyncio.run(risk(NOW, operation, HOME, connection, identity, came, asked))


class FakeHoldLine:
    """A line, and what was counted."""

    lines = Lines(0.0, -20.0)

    def __init__(self) -> None:
        self.counted = []

    def count(self, account, destination, score, at, *, held):
        self.counted.append((account, destination, round(score.total, 3), at, held))


def test_a_line_that_a_budget_draws_serves_in_place_of_the_fixed_one_and_hears_of_each_withdrawal() -> None:
    hold_line = FakeHoldLine()
    profiles = FakeProfiles({"alice": known()})
    risk = Risk(profiles=profiles, digests=DIGESTS, lines=Lines(0.0, 4.9), hold_line=hold_line)
    for operation in (Operation.WITHDRAW, Operation.LOGIN):
        measured = asyncio.run(risk(NOW, operation, HOME, PORTUGAL, ALICE, PHONE, Asked(10.0, 0.1, "bc1-old")))

        assert measured.risk == "high"
        assert measured.detail["lines"] == {"medium": 0.0, "high": -20.0}
    [(account, destination, _, at, held)] = hold_line.counted
    assert (account, destination, at, held) == ("alice", DIGESTS.text(b"destination", "bc1-old"), NOW, True)


def test_a_transfer_is_measured_as_a_withdrawal_where_that_is_said() -> None:
    asked = Asked(10.0, 0.99, "bc1-new")
    for paying, signals in (({Operation.WITHDRAW}, set()), ({Operation.TRANSFER}, {"new_destination"})):
        risk = Risk(
            profiles=FakeProfiles({"alice": known()}), digests=DIGESTS, lines=Lines(0.0, 4.9),
            paying=frozenset(paying),
        )  # fmt: skip
        measured = asyncio.run(risk(NOW, Operation.TRANSFER, HOME, PORTUGAL, ALICE, PHONE, asked))

        assert measured.signals == signals
        assert measured.destination == ("new" if signals else None)


def test_who_cannot_have_travelled_so_far_is_noticed_where_a_database_knows_places() -> None:
    tokyo = Connection("JP", "JP-13", "AS", 2907, frozenset(), Place(35.68, 139.69, 10.0))
    profile = known()
    profile.observe(
        login_of(DIGESTS, NOW - 3600 * SECOND, event_id="last", ip="2.80.10.20", agent=AGENT, device="phone",
                 session="s-1", country="PT", asn=3243, networks=frozenset(), place=Place(38.72, -9.14, 10.0))
    )  # fmt: skip
    far = ClientIP("133.1.2.3", How.PEER, geo_key="133.1.2.3")
    risk = Risk(profiles=FakeProfiles({"alice": profile}), digests=DIGESTS, lines=Lines(0.0, 4.9))
    for connection, noticed in ((tokyo, {"impossible_travel", "session_moved"}), (tokyo._replace(place=None), set())):
        measured = asyncio.run(risk(NOW, Operation.VIEW, far, connection, ALICE, PHONE))

        assert measured.signals & {"impossible_travel", "session_moved"} == noticed


def test_nothing_is_unusual_at_home() -> None:
    measured = measure()
    assert measured.signals == frozenset()
    assert measured.destination == "known"
    assert measured.unfamiliar == frozenset()


def test_a_new_device_that_sends_to_a_new_place_is_of_high_risk_and_the_terms_say_why() -> None:
    measured = measure(
        came=LAPTOP, asked=Asked(10.0, 0.99, "bc1-new"), connection=PORTUGAL._replace(country="ES", asn=1)
    )
    assert {"unfamiliar_device", "unfamiliar_country", "unfamiliar_network", "new_destination"} <= measured.signals
    assert (measured.risk, measured.destination) == ("high", "new")
    assert measured.detail["score"] > measured.detail["lines"]["high"]
    assert measured.detail["terms"][0]["value"] >= measured.detail["terms"][-1]["value"]
    assert any("device key never seen" in term["words"] for term in measured.detail["terms"])
    assert "bc1-new" not in str(measured)


def test_only_a_withdrawal_is_measured_by_where_it_goes() -> None:
    measured = measure(operation=Operation.VIEW, came=LAPTOP, asked=Asked(None, None, None))
    assert measured.signals == {"unfamiliar_device"}
    assert measured.destination is None
    assert not any(term["name"] == "destination" for term in measured.detail["terms"])


def test_nobody_signed_in_is_knowledge() -> None:
    nobody = measure(Identity("none", "absent", None, 0, None, None), operation=Operation.VIEW)
    assert (nobody.signals, nobody.risk, nobody.detail) == (frozenset(), "low", None)


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("a fault of ours")])
def test_a_store_that_is_away_is_never_the_absence_of_signals(fault) -> None:
    away = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    measured = measure(fault=fault)
    assert (measured.signals, measured.risk, measured.destination) == (away, away, away)


def test_whose_account_is_not_certain_has_uncertain_signals() -> None:
    either = OneOf(WhyUnknown.STORE_UNAVAILABLE, frozenset({"alice", None}))
    measured = measure(ALICE._replace(account=either))
    assert measured.signals == measured.risk == Unknown(WhyUnknown.STORE_UNAVAILABLE)


def test_a_destination_that_cannot_be_read_is_unknown_and_counts_as_new() -> None:
    measured = measure(asked=Asked(10.0, 0.1, Unknown(WhyUnknown.NOT_SUPPLIED)))
    assert measured.destination == Unknown(WhyUnknown.NOT_SUPPLIED)
    assert "new_destination" in measured.signals


def test_an_account_without_a_profile_is_unfamiliar_with_everything_and_never_of_low_risk() -> None:
    measured = measure(ALICE._replace(account="newcomer"))
    assert {"unfamiliar_device", "unfamiliar_network", "new_destination"} <= measured.signals
    assert measured.risk == "high"
    assert measured.detail["learning"]


def test_what_a_ticket_is_about_is_written_as_the_store_reads_it() -> None:
    login = login_of(DIGESTS, NOW, ip="2.80.10.20", device="phone", country="PT", asn=3243)
    about = measure().about
    assert about["network"] == network_about(login)
    assert about["device"] == device_about(login)
    assert about["destination"] == destination_about(DIGESTS.text(b"destination", "bc1-old"))
    nowhere = login_of(DIGESTS, NOW)
    assert network_about(nowhere) == device_about(nowhere) == destination_about(None) == ""


def test_each_rule_is_about_what_it_speaks_of() -> None:
    bundle = load({"odd.yaml": POLICY}, sources_configured=None)
    measured = measure(came=LAPTOP, asked=Asked(10.0, 0.99, "bc1-new"))
    wanted = tuple(Obligation("ticket", "unfamiliar_login", "odd", rule) for rule in ("device", "score", "plain"))
    found = abouts(bundle, wanted, measured)
    device, destination = measured.about["device"], measured.about["destination"]
    assert found == {
        RuleRef("odd", "device"): f"device={device}",
        RuleRef("odd", "score"): f"device={device},destination={destination}",
    }
    assert abouts(bundle, wanted, measure(fault=StoreUnavailable("away"))) == {}


def test_a_high_score_of_nothing_new_is_about_all_of_it() -> None:
    bundle = load({"odd.yaml": POLICY}, sources_configured=None)
    found = abouts(bundle, (Obligation("ticket", "unfamiliar_login", "odd", "score"),), measure())
    assert [part.partition("=")[0] for part in found[RuleRef("odd", "score")].split(",")] == [
        "network", "device", "destination",
    ]  # fmt: skip
