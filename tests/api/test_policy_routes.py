from gateway.api.policy_routes import POLICY_ROUTES
from gateway.core.permissions import PEOPLE_ONLY, Permission


def test_whatever_changes_policies_is_for_people_and_sent_once() -> None:
    for route in POLICY_ROUTES:
        changes = route.method == "POST"
        assert changes == (route.scope in PEOPLE_ONLY), route.name
        assert changes == ("Idempotency-Key" in {one.name for one in route.parameters}), route.name
        assert changes or route.scope is Permission.POLICIES_READ


def test_what_decides_about_a_revision_says_what_it_saw() -> None:
    for route in POLICY_ROUTES:
        steps = "{id}/" in route.path
        assert steps == ("If-Match" in {one.name for one in route.parameters}), route.name
        assert not steps or {409, 412, 428} <= set(route.statuses())
