from gateway.api.desk_routes import DESK_ROUTES
from gateway.api.routes import ROUTES
from gateway.core.permissions import PEOPLE_ONLY, Permission
from tests.api.test_openapi import DOCUMENT


def test_every_route_of_the_desk_says_what_it_takes() -> None:
    for route in DESK_ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert ("requestBody" in operation) == (route.method != "GET"), route.name
        assert route.answer is not None or route.name in {"readEvidence", "takeSecurityEvent"}
        needs = {one["name"] for one in operation["parameters"] if one["in"] == "header" and one["required"]}
        assert ("If-Match" in needs) == (428 in route.statuses()), route.name


def test_both_halves_of_a_release_are_for_people() -> None:
    for name in ("proposeEnd", "approveEnd", "declineEnd"):
        (route,) = [one for one in ROUTES if one.name == name]
        assert route.scope in PEOPLE_ONLY


def test_whatever_changes_something_is_no_get() -> None:
    reading = {one for one in Permission if one.endswith(":read")}
    for route in DESK_ROUTES:
        if route.scope is not None:
            assert (route.method == "GET") == (route.scope in reading), route.name
