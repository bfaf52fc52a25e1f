"""Which requests the log is told of, and with what."""

import asyncio

import pytest

from gateway.enforce.answered import Answered
from gateway.enforce.request_log import Logged, Saying
from gateway.service.told import Teller


def passage(world, request):
    world.clock.at = request.at
    return asyncio.run(world.line.decide(request))


def saying(world, put, *, allowed: bool) -> Saying:
    return Saying(put=put, teller=Teller("masked"), clock=world.clock, allowed=allowed)


@pytest.mark.parametrize("allowed", [False, True])
def test_refusals_are_said_and_what_is_let_through_where_all_is(world, asked, allowed: bool) -> None:
    put = []
    say = saying(world, put.append, allowed=allowed)
    at = world.clock.at
    say(at, Answered(passage(world, asked()), 200))
    say.decided(at, passage(world, asked(target="/%2e%2e")))
    lines = [one() for one in put]
    assert [one.status for one in lines] == ([200, 400] if allowed else [400])
    assert lines[-1].told.operation == "ambiguous"


def test_what_failed_is_always_said_and_what_nobody_decided_is_not(world, asked) -> None:
    put = []
    say = saying(world, put.append, allowed=False)
    say(world.clock.at, Answered(passage(world, asked()), 502))
    say(world.clock.at, Answered(None, None, RuntimeError("odd")))
    say(world.clock.at, Answered(None, 403))
    assert [(one().status, one().told is None) for one in put] == [(502, False), (500, True)]


def test_the_lifespan_passes_through(world) -> None:
    seen = []

    async def app(scope, _receive, _send) -> None:
        seen.append(scope["type"])

    logged = Logged(app, saying(world, seen.append, allowed=True))
    asyncio.run(logged({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
