"""No route is open to whoever lacks its permission: asked of every route by every role, scope and combination."""

import re
from types import SimpleNamespace

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.application import create_api
from gateway.api.route import Proof, Route
from gateway.api.routes import ROUTES
from gateway.core.permissions import PEOPLE_ONLY, Permission, Role, may
from gateway.core.service_token import SCOPES, ServiceToken, token_text
from tests.api.conftest import SetClock

TEXT = token_text("0" * 12, "s" * 43)
GUARDED = [route for route in ROUTES if route.scope is not None]


class Touched(Exception):
    """Something behind the gate was reached."""


class Behind:
    """Whatever is behind the gate: reaching it fails."""

    def __getattr__(self, name: str) -> object:
        raise Touched(name)


class OneToken:
    def __init__(self, token: ServiceToken | None) -> None:
        self.token = token

    async def check(self, text: str, at: int) -> ServiceToken | None:
        return self.token if text == TEXT else None


def people() -> st.SearchStrategy[ServiceToken]:
    roles = st.frozensets(st.sampled_from(Role))
    return roles.map(lambda held: ServiceToken("0" * 12, "x", frozenset(), "ben", 0, 2**62, None, "ann", held))


def programs() -> st.SearchStrategy[ServiceToken]:
    scopes = st.frozensets(st.sampled_from([*map(str, Permission), "*", "admin"]))
    return scopes.map(lambda held: ServiceToken("0" * 12, "x", held, "ben", 0, 2**62, None))


async def asked(route: Route, token: ServiceToken | None) -> int:
    """Return the status of the route where everything behind the gate is out of reach; 500 where it was reached."""
    behind = SimpleNamespace(
        clock=SetClock(), tokens=OneToken(token), address_of=lambda peer, _: peer, languages=("en",),
        archive=Behind(), find=Behind(), explain=Behind(), metrics=Behind(), alarms=Behind(), erase=Behind(), desk=None,
    )  # fmt: skip
    app = create_api(behind)  # type: ignore[arg-type]  # as much of it as a refusal needs
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
        path = re.sub(r"{\w+}", "x", route.path)
        headers = {"authorization": f"Bearer {TEXT}", "if-match": '"1"'}
        return (await client.request(route.method, path, headers=headers, json={})).status_code


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(route=st.sampled_from(GUARDED), token=st.one_of(people(), programs()))
async def test_no_route_is_open_without_its_permission(route: Route, token: ServiceToken) -> None:
    status = await asked(route, token)
    assert route.scope is not None
    assert (status == 403) is (not may(token.identity, route.scope))


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
async def test_no_route_is_open_to_who_has_everything_else(route: Route) -> None:
    others = frozenset(str(one) for one in Permission if one is not route.scope)
    assert await asked(route, ServiceToken("0" * 12, "x", others, "ben", 0, 2**62, None)) == 403
    assert await asked(route, None) == 401


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
async def test_every_route_is_open_to_somebody(route: Route) -> None:
    assert route.scope is not None
    everything = ServiceToken("0" * 12, "x", frozenset(map(str, SCOPES)), "ben", 0, 2**62, None)
    if route.scope in PEOPLE_ONLY:
        everything = everything._replace(person="ann", roles=frozenset(Role))
    assert await asked(route, everything) not in {401, 403}


@pytest.mark.parametrize("route", [one for one in ROUTES if one.proof is Proof.SIGNATURE], ids=lambda one: one.name)
async def test_what_is_signed_asks_for_no_token_and_is_not_configured_by_itself(route: Route) -> None:
    assert await asked(route, None) == 501
