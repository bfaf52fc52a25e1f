"""What is told outside the record holds no more of anybody than was configured, and never a secret."""

import asyncio

import pytest

from gateway.core.pseudonyms import Pseudonyms
from gateway.service.told import Teller, known_method

PSEUDONYMS = Pseudonyms(b"a key of thirty-two bytes, or so.")
TRACE = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def passage(world, request):
    world.clock.at = request.at
    return asyncio.run(world.line.decide(request))


def test_masked_is_where_it_came_from_by_network_and_nobody(world, asked) -> None:
    told = Teller("masked").tell(passage(world, asked(target="/from/8.8.8.8/x?token=secret", more=(TRACE,))))
    assert (told.method, told.operation) == ("GET", "view")
    assert "8.8.8.8" not in str(told)
    assert "secret" not in str(told)
    assert (told.address, told.account, told.user_agent) == ("8.8.8.0/24", None, None)
    assert (told.trace_id, told.parent_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_digests_tell_one_account_from_another_and_not_who_it_is(world, asked) -> None:
    told = Teller("digest", PSEUDONYMS).tell(passage(world, asked()))
    assert (told.address, told.account, told.user_agent) == ("8.8.8.0/24", PSEUDONYMS.account("alice"), None)


def test_clear_is_all_but_what_is_secret(world, asked) -> None:
    told = Teller("clear").tell(passage(world, asked(target="/a?key=secret")))
    assert (told.address, told.account, told.user_agent, told.path) == ("8.8.8.8", "alice", "tests/1", "/a")
    assert "alice-token" not in str(told)
    assert "secret" not in str(told)


def test_a_refusal_names_its_rules_and_its_reason(world, asked) -> None:
    told = Teller("masked").tell(passage(world, asked("POST", "/api/v1/withdrawals", token=None)))
    assert (told.outcome, told.status) != ("allow", 200)
    assert told.reason is not None


@pytest.mark.parametrize("shown", ["masked", "clear"])
def test_of_a_request_that_could_not_be_read_nothing_is_told_but_that(world, asked, shown) -> None:
    told = Teller(shown).tell(passage(world, asked(target="/%2e%2e/secret")))
    assert (told.path, told.operation, told.outcome, told.status) == (None, "ambiguous", "deny", 400)
    assert "secret" not in str(told)


def test_a_method_that_somebody_made_up_is_no_name_of_ours(world, asked) -> None:
    assert Teller("clear").tell(passage(world, asked("BREW"))).method is None
    assert (known_method("BREW"), known_method("PATCH")) == ("_OTHER", "PATCH")
