from gateway.api.route import Proof
from gateway.api.routes import ROUTES
from gateway.api.schemas import SCHEMAS
from gateway.core.search import Search


def test_every_condition_of_a_search_is_a_parameter() -> None:
    (search,) = [route for route in ROUTES if route.name == "searchDecisions"]
    assert {one.name for one in search.parameters} == {*Search._fields, "limit", "cursor", "Gateway-Reason"}


def test_names_and_paths_are_each_one_routes_own() -> None:
    assert len({route.name for route in ROUTES}) == len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_whoever_asks_for_a_token_may_refuse_it() -> None:
    for route in ROUTES:
        assert (403 in route.statuses()) == (route.scope is not None), route.name
        assert (429 in route.statuses()) == (route.scope is not None or route.proof is Proof.SIGNATURE), route.name
        assert route.answer is None or route.answer in SCHEMAS


def test_personal_data_is_never_open() -> None:
    open_ones = {route.path for route in ROUTES if route.scope is None and route.proof is Proof.NONE}
    assert open_ones == {"/api/v1/health", "/api/v1/openapi.json", "/livez", "/readyz"}
    signed = {route.path for route in ROUTES if route.proof is Proof.SIGNATURE}
    assert signed == {"/api/v1/identity-results", "/v1/security-events"}
