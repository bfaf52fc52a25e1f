import pytest

from gateway.core.messages import Told, message


def test_a_message_holds_what_it_was_made_of_and_nobody_changes_it() -> None:
    told = message(Told.HOLD_PLACED, "alice", ticket="T-1", until=None)

    assert (told.type, told.account, dict(told.data)) == ("hold.placed", "alice", {"ticket": "T-1", "until": None})
    with pytest.raises(TypeError):
        told.data["ticket"] = "T-2"  # type: ignore[index]


def test_what_is_told_is_named_by_a_thing_and_what_happened_to_it() -> None:
    assert all("." in told or told is Told.NOTICE for told in Told)
