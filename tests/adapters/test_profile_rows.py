from typing import Any

import pytest
import sqlalchemy as sa

from gateway.adapters.profile_rows import (
    Familiar,
    Kept,
    applied,
    kept_of,
    login_from,
    made_again,
    read_kept,
    sequence,
    write_kept,
)
from gateway.adapters.schema import METADATA, PROFILES
from gateway.core.events import Change, LoginSucceeded, Method, ProvedWith, VerificationChanged, WithdrawalCompleted
from gateway.core.login import ADDRESS, ASN, COUNTRY, Digests, destination_about, device_about, network_about
from gateway.core.obligations import about_of
from gateway.core.profile import Profile
from gateway.core.signals import Name, signals_of
from gateway.core.verification_changes import Proof, standing
from gateway.core.withdrawal_context import Withdrawal
from tests.stores import AT, DAY, SECOND

DIGESTS = Digests(b"the key of these tests")
LISBON = {"country": "PT", "asn": 3243, "network": ["mobile"]}


def login(number: int, at: int, **more: Any) -> LoginSucceeded:
    told = {"ip": "81.2.69.160", "device": "d1", **more}
    return LoginSucceeded(id=f"l{number}", account="alice", at=at, **told)


def change(at: int, **more: Any) -> VerificationChanged:
    told = {"method": Method.PASSWORD, "change": Change.REPLACED, "proved_with": ProvedWith.TOTP, **more}
    return VerificationChanged(id=f"c{at}", account="alice", at=at, **told)


def test_a_login_is_made_of_what_was_told_and_looked_up() -> None:
    made = login_from(DIGESTS, login(1, AT), LISBON)
    assert (made.values[COUNTRY], made.values[ASN], made.networks) == ("PT", 3243, frozenset({"mobile"}))
    nowhere = login_from(DIGESTS, login(1, AT), None)
    assert (nowhere.values[COUNTRY], nowhere.values[ASN], nowhere.networks) == (None, None, None)
    assert nowhere.values[ADDRESS] == made.values[ADDRESS]


def test_what_a_ticket_was_about_raises_no_signal_once_it_is_familiar() -> None:
    stranger = login_from(DIGESTS, login(1, AT), LISBON)
    destination = DIGESTS.text(b"destination", "bc1q")
    unfamiliar = {Name.UNFAMILIAR_NETWORK, Name.UNFAMILIAR_COUNTRY, Name.UNFAMILIAR_DEVICE, Name.NEW_DESTINATION}
    profile = Profile()
    found = {one.name for one in signals_of(profile, stranger, Withdrawal(destination, 1.0))}
    assert unfamiliar <= found
    about = about_of(
        found,
        network=network_about(stranger),
        device=device_about(stranger),
        destination=destination_about(destination),
    )
    after = applied(Kept(profile), Familiar("ticket.familiar:T-1", AT, about))
    assert not unfamiliar & {one.name for one in signals_of(after.profile, stranger, Withdrawal(destination, 1.0))}


@pytest.mark.parametrize("about", ["", "network=,device=zz,destination=-1", "network=..0,device=" + "f" * 40, "x=1"])
def test_what_cannot_be_read_makes_nothing_familiar(about: str) -> None:
    after = applied(Kept(Profile()), Familiar("f", AT, about))
    assert not any(after.profile.known)
    assert not after.profile.destinations


def test_a_change_from_a_known_device_and_network_is_proved_by_its_factor() -> None:
    kept = applied(Kept(Profile()), login(1, AT), DIGESTS, LISBON)
    later = AT + 40 * DAY
    known = applied(kept, change(later, ip="81.2.69.1", device="d1"), DIGESTS, LISBON)
    assert known.changes[-1].familiar is True
    assert known.profile.changes["password"].recovered is False
    other = applied(kept, change(later + SECOND, ip="81.2.69.1", device="d2"), DIGESTS, LISBON)
    assert other.changes[-1].familiar is False
    untold = applied(kept, change(later + 2 * SECOND), DIGESTS, LISBON)
    assert untold.changes[-1].familiar is None
    hold = standing(untold.changes[-1:]).hold
    assert hold is not None
    assert hold.proof is Proof.RECOVERY


def test_what_is_kept_is_read_as_it_was_written() -> None:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    kept = applied(Kept(Profile()), login(1, AT), DIGESTS, LISBON)
    kept = applied(kept, change(AT + SECOND), DIGESTS, LISBON)
    with engine.begin() as connection:
        for _ in range(2):
            write_kept(connection, {"alice": kept})
        found = read_kept(connection, ["alice", "bob"])
        assert set(found) == {"alice"}
        connection.execute(sa.update(PROFILES).values(blob=b"\x01"))
        with pytest.raises(ValueError, match="damaged"):
            kept_of(connection.execute(sa.select(PROFILES)).one())
    engine.dispose()
    assert found["alice"]._replace(profile=kept.profile) == kept
    assert found["alice"].profile.waiting == kept.profile.waiting


def test_what_is_older_than_the_events_that_are_read_again_is_not_forgotten() -> None:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    old = Kept(Profile())
    first = WithdrawalCompleted(id="w", account="alice", at=AT, destination="bc1q")
    old = applied(old, first, DIGESTS)
    old = applied(old, change(AT + SECOND), DIGESTS)
    old = applied(old, login(1, AT + 300 * DAY), DIGESTS, LISBON)
    with engine.begin() as connection:
        again = made_again(connection, "alice", old, old.last_at, DIGESTS)
    engine.dispose()
    assert again is not None
    assert again.profile.destinations == old.profile.destinations
    assert again.profile.since_s == old.profile.since_s
    assert again.profile.changes == old.profile.changes
    assert again.changes == old.changes


def test_events_are_applied_by_their_own_time() -> None:
    one, two, three = login(2, AT), login(1, AT), login(3, AT - 1)
    assert sequence([one, two, three]) == [three, two, one]
    kept = applied(Kept(Profile()), one, DIGESTS)
    assert [kept.is_late(each) for each in (one, two, three)] == [False, True, True]


def test_without_digests_no_habits_are_kept_and_no_change_comes_from_a_known_place() -> None:
    kept = applied(Kept(Profile()), login(1, AT))
    kept = applied(kept, WithdrawalCompleted(id="w", account="alice", at=AT, destination="bc1q"))
    assert (kept.profile.waiting, kept.profile.destinations) == ([], {})
    kept = applied(kept, change(AT + 40 * DAY, ip="81.2.69.160", device="d1"))
    assert [made.familiar for made in kept.changes] == [None]
