import pytest

from gateway.core.account import TRANSITIONS, Author
from gateway.core.terms import Status
from gateway.desk.evidence import EvidenceKind
from gateway.desk.kinds import KINDS, TicketKind, kind_of, required


def test_every_kind_says_what_it_asks_for_and_where_it_leads() -> None:
    assert set(KINDS) == set(TicketKind)
    assert all(rules.owed_s > 0 and rules.release and rules.uphold for rules in KINDS.values())


def test_a_place_or_device_is_made_familiar_by_a_selfie_with_document_and_a_note() -> None:
    assert KINDS[TicketKind.UNFAMILIAR_LOGIN].evidence == ("selfie_with_document", "signed_note")


def test_a_changed_verification_takes_the_same_and_an_old_channel() -> None:
    more = set(KINDS[TicketKind.VERIFICATION_CHANGED].evidence) - set(KINDS[TicketKind.UNFAMILIAR_LOGIN].evidence)
    assert more == {EvidenceKind.OLD_CHANNEL_CONFIRMATION}


def test_only_an_appeal_leads_back_and_never_all_the_way_from_restricted() -> None:
    assert [kind for kind, rules in KINDS.items() if rules.ways_back] == [TicketKind.APPEAL]
    appeal = KINDS[TicketKind.APPEAL]
    assert appeal.evidence
    assert not appeal.restricts
    for stands in set(TRANSITIONS) - {Status.OPEN}:
        ways = {to for to in TRANSITIONS[stands] if to in appeal.ways_back}
        assert ways
        assert all(Author.TWO_PEOPLE in TRANSITIONS[stands][to].by for to in ways)
    assert Status.OPEN not in TRANSITIONS[Status.RESTRICTED]


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        (None, TicketKind.WITHDRAWAL_REVIEW),
        ("unfamiliar_login", TicketKind.UNFAMILIAR_LOGIN),
        ("sanctions", TicketKind.REVIEW),
    ],
)
def test_a_category_is_a_kind_or_a_review(category: str | None, kind: TicketKind) -> None:
    assert kind_of(category) is kind


@pytest.mark.parametrize("kind", TicketKind)
def test_a_rule_adds_to_what_a_kind_asks_for_and_takes_nothing_away(kind: TicketKind) -> None:
    asked = required(kind, ("proof_of_address", "signed_note"))
    assert set(asked) == {*KINDS[kind].evidence, "proof_of_address", "signed_note"}
    assert len(asked) == len(set(asked))
    assert required(kind) == KINDS[kind].evidence
