import pytest

from gateway.core.permissions import PEOPLE_ONLY, Permission, Person, Program, Role, may
from gateway.core.service_token import SCOPES, ServiceToken, read_token, token_text, unknown_scope

SECRET = "Ab_-" * 10 + "xyz"


def test_a_token_reads_back_as_its_parts() -> None:
    assert read_token(token_text("0123456789ab", SECRET)) == ("0123456789ab", SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gwt_",
        f"gwk_0123456789ab_{SECRET}",
        f"gwt_0123456789a_{SECRET}",
        f"gwt_0123456789AB_{SECRET}",
        f"gwt_0123456789ab_{SECRET}x",
        f"gwt_0123456789ab_{SECRET[:-1]}",
        f"gwt_0123456789ab_{SECRET}\n",
        f" gwt_0123456789ab_{SECRET}",
        f"gwt_0123456789ab_{SECRET[:-1]}é",
        f"gwt_\N{ARABIC-INDIC DIGIT ONE}0123456789a_{SECRET}",
    ],
)
def test_anything_else_is_no_token(text: str) -> None:
    assert read_token(text) is None


def test_a_token_holds_until_it_expires_or_is_revoked() -> None:
    token = ServiceToken("0123456789ab", "desk", frozenset({Permission.DECISIONS_READ}), "ben", 0, 100, None)
    assert (token.holds(99), token.state(99)) == (True, "valid")
    assert (token.holds(100), token.state(100)) == (False, "expired")
    revoked = token._replace(revoked_at=5)
    assert (revoked.holds(1), revoked.state(1)) == (False, "revoked")


def test_a_scope_that_is_none_is_named() -> None:
    assert unknown_scope(["decisions:read", "metrics:read", "decisions:unmask"]) is None
    assert unknown_scope(["decisions:read", "decisions:write"]) == "decisions:write"


def test_no_scope_opens_what_is_for_people() -> None:
    assert set(SCOPES) == set(Permission) - PEOPLE_ONLY
    assert unknown_scope(["tickets:read", "tickets:approve"]) == "tickets:approve"


def test_whoever_acts_by_a_token_is_a_person_or_a_program() -> None:
    programs = ServiceToken("0123456789ab", "desk", frozenset({"tickets:read"}), "ben", 0, 100, None)
    assert programs.identity == Program("token 0123456789ab (desk)", frozenset({"tickets:read"}))
    anns = programs._replace(person="Ann Lee", roles=frozenset({Role.APPROVER}))
    assert anns.identity == Person("Ann Lee", frozenset({Role.APPROVER}))
    assert may(anns.identity, Permission.TICKETS_APPROVE)


def test_scopes_open_nothing_for_a_person() -> None:
    token = ServiceToken("0123456789ab", "desk", frozenset(map(str, Permission)), "ben", 0, 100, None, "ann")
    assert not any(may(token.identity, one) for one in Permission)
