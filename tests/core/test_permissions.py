import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import Author
from gateway.core.permissions import (
    PEOPLE_ONLY,
    ROLES,
    Permission,
    Person,
    Program,
    Role,
    author_of,
    is_same_person,
    may,
    permissions_of,
    person,
    roles_with,
)
from gateway.core.service_token import SCOPES

EVERY_SCOPE = frozenset(str(one) for one in Permission)


def test_every_role_has_permissions_and_every_permission_a_way_to_be_held() -> None:
    assert set(ROLES) == set(Role)
    held = {permission for permissions in ROLES.values() for permission in permissions}
    assert set(Permission) - held == {Permission.EVENTS_WRITE}  # programs alone tell of events


@pytest.mark.parametrize("role", Role)
def test_no_role_alone_has_both_halves_of_a_release(role: Role) -> None:
    assert not {Permission.TICKETS_PROPOSE, Permission.TICKETS_APPROVE} <= ROLES[role]


def test_who_makes_people_can_neither_propose_nor_approve() -> None:
    for role in roles_with(Permission.TOKENS_WRITE):
        assert not {Permission.TICKETS_PROPOSE, Permission.TICKETS_APPROVE} & ROLES[role]


@given(st.frozensets(st.sampled_from([*EVERY_SCOPE, "tickets:*", "*", ""])))
def test_a_program_can_neither_propose_nor_approve_nor_make_people(scopes: frozenset[str]) -> None:
    assert not permissions_of(Program("bot", scopes)) & PEOPLE_ONLY


@given(st.frozensets(st.sampled_from(Role)), st.frozensets(st.sampled_from(Role)))
def test_more_roles_never_take_a_permission_away(some: frozenset[Role], more: frozenset[Role]) -> None:
    assert permissions_of(Person("ann", some)) <= permissions_of(Person("ann", some | more))


def test_nobody_without_a_role_may_do_anything() -> None:
    nobody = Person("ann", frozenset())
    assert not any(may(nobody, permission) for permission in Permission)


def test_the_scopes_of_earlier_tokens_are_permissions() -> None:
    for scope in ("decisions:read", "decisions:unmask", "decisions:erase", "metrics:read"):
        assert scope in SCOPES
        assert may(Program("siem", frozenset({scope})), Permission(scope))


def test_looking_is_open_to_every_role() -> None:
    assert all(Permission.TICKETS_READ in permissions for permissions in ROLES.values())


@pytest.mark.parametrize(
    ("role", "author"),
    [
        (Role.VIEWER, None),
        (Role.AUDITOR, None),
        (Role.APPROVER, None),
        (Role.ADMIN, None),
        (Role.SUPPORT, Author.SUPPORT),
        (Role.EDITOR, Author.EDITOR),
    ],
)
def test_an_account_is_changed_alone_by_support_and_editors_only(role: Role, author: Author | None) -> None:
    assert author_of(Person("ann", frozenset({role}))) == author


def test_a_person_is_made_of_a_name_and_roles() -> None:
    assert person("  Ann  Lee ", ["support"]) == Person("Ann Lee", frozenset({Role.SUPPORT}))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 129, "a\u202eb"])
def test_a_name_that_could_not_be_compared_names_nobody(name: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        person(name, ["support"])


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="boss"):
        person("ann", ["boss"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "Ann"),
        ("Ann Lee", " ann  lee"),
        ("Zoë", "Zoe\u0308"),
        ("ﬁona", "fiona"),
        ("STRASSE", "straße"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}nn", "ann"),
    ],
)
def test_another_spelling_of_a_name_makes_nobody_another_person(one: str, other: str) -> None:
    assert is_same_person(one, other)


def test_two_names_are_two_people() -> None:
    assert not is_same_person("ann", "anne")
