"""The rig itself: what it parses, pairs and counts is right. Nothing here measures time."""

import asyncio
import dataclasses
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httptools
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import answers, inprocess, memory, ratios, report, rules, traffic
from benchmarks.apps import floor, gateway, market, straightforward
from benchmarks.load import client, generator, wire, wrk
from benchmarks.ratios import Load, Round, Spread, Turn
from benchmarks.servers import running
from benchmarks.traffic import Kind
from benchmarks.world import CLOSED, World, account_of, build
from benchmarks.world import load as load_world
from gateway import config
from gateway.adapters.sql import AccountStore
from gateway.core.terms import Operation, Outcome
from gateway.policies.bundle import load as load_bundle
from gateway.policies.evaluate import evaluate


def turn(rate: float, cpu_us: float | None = 40.0, *, busy: float = 1.0) -> Turn:
    """A turn of one second: so many requests, at so much CPU each."""
    load = Load(requests=int(rate), seconds=1.0, wrong=0, p50_ms=1.0, p99_ms=2.0)
    return Turn(load, None if cpu_us is None else cpu_us * rate / 1e6 * busy)


def result(rounds: list[Round], *, ceiling: float = 100_000) -> report.Result:
    return report.Result(rounds, turn(ceiling, 5.0), "wrk", 32, 4_000, (0, 1), 2.0)


# --- figures


def test_what_is_compared_was_measured_in_the_same_round() -> None:
    # The machine halves its speed in the second round. The ratio of each round is 0.8; the ratio of the medians is not.
    rounds = [
        {"bare": turn(10_000), "gateway": turn(8_000)},
        {"bare": turn(5_000), "gateway": turn(4_000)},
        {"bare": turn(20_000), "gateway": turn(16_000)},
    ]
    assert ratios.rate_ratio(rounds, "gateway", "bare") == Spread(0.8, 0.8, 0.8)


def test_the_spread_is_median_least_and_most() -> None:
    assert ratios.spread([3.0, 1.0, 2.0, 10.0, 2.5]) == Spread(2.5, 1.0, 10.0)


def test_added_cpu_is_the_difference_within_a_round() -> None:
    rounds = [
        {"bare": turn(1000, 40), "gateway": turn(900, 50)},
        {"bare": turn(1000, 80), "gateway": turn(900, 91)},
        {"bare": turn(1000, 60), "gateway": turn(900, 72)},
    ]
    added = ratios.added_cpu(rounds, "gateway", "bare")
    assert added is not None
    assert (added.median, added.least, added.most) == pytest.approx((11, 10, 12))


def test_the_share_by_cpu_holds_where_the_rate_was_held_back_by_others() -> None:
    held_back = Turn(Load(requests=1_000, seconds=4.0, wrong=0, p50_ms=1, p99_ms=1), cpu_s=0.05)
    one: Round = {"bare": turn(10_000, 40), "gateway": held_back}
    assert ratios.rate_ratio([one], "gateway", "bare") == Spread(0.025, 0.025, 0.025)
    share = ratios.cpu_ratio([one], "bare", "gateway")
    assert share is not None
    assert share.median == pytest.approx(0.8)


def test_times_less_added_cpu_compares_what_each_adds_to_bare() -> None:
    one: Round = {"bare": turn(1000, 40), "gateway": turn(900, 50), "straightforward": turn(90, 440)}
    free: Round = {"bare": turn(1000, 40), "gateway": turn(900, 40), "straightforward": turn(90, 440)}
    times = ratios.added_cpu_ratio([one], "straightforward", "gateway", "bare")
    assert times is not None
    assert times.median == pytest.approx(40)
    assert ratios.added_cpu_ratio([free], "straightforward", "gateway", "bare") is None


@pytest.mark.parametrize("figure", [ratios.rate_ratio, ratios.cpu_ratio, ratios.added_cpu])
def test_an_app_that_was_not_measured_has_no_figure(
    figure: Callable[[list[Round], str, str], Spread | None],
) -> None:
    assert figure([{"bare": turn(1000)}], "gateway", "bare") is None
    assert figure([{"gateway": turn(1000)}], "gateway", "bare") is None


def test_without_a_cpu_clock_there_is_no_cpu_figure_and_no_target_on_it() -> None:
    rounds: list[Round] = [{"bare": turn(1000, None), "gateway": turn(900, None)}]
    assert ratios.added_cpu(rounds, "gateway", "bare") is None
    assert ratios.of(rounds, "gateway", lambda one: one.busy) is None
    assert [one.promise for one in report.targets(result(rounds))] == ["`gateway` keeps at least 0.80 of bare"]


def test_cpu_per_request_and_busy_share_come_from_the_same_seconds() -> None:
    one = Turn(Load(requests=20_000, seconds=2.0, wrong=0, p50_ms=1, p99_ms=1), cpu_s=1.0)
    assert (one.rate, one.cpu_us, one.busy) == (10_000, 50.0, 0.5)


# --- the report


def test_targets_are_met_at_the_stated_figure_and_missed_below_it() -> None:
    met: Round = {"bare": turn(10_000, 40), "gateway": turn(8_000, 50), "straightforward": turn(1_000, 500)}
    missed: Round = {"bare": turn(10_000, 40), "gateway": turn(7_900, 52.5), "straightforward": turn(1_000, 500)}
    assert [target.met for target in report.targets(result([met]))] == [True, True, True]
    assert [target.met for target in report.targets(result([missed]))] == [False, False, False]


def test_a_rate_that_others_on_the_core_flattered_meets_no_target() -> None:
    flattered: Round = {"bare": turn(5_000, 40), "gateway": turn(6_000, 60)}
    assert [(target.measured, target.met) for target in report.targets(result([flattered]))] == [
        (pytest.approx(2 / 3), False),
        (pytest.approx(20), False),
    ]


def test_the_report_puts_ratios_before_absolute_figures() -> None:
    text = report.text(result([{"bare": turn(10_000), "gateway": turn(8_000), "straightforward": turn(900)}]))
    assert text.index("0.80 (0.80..0.80)") < text.index("8,000")
    assert "8.9 (8.9..8.9)" in text
    assert "met     `gateway` keeps at least 0.80" in text


def test_the_compiled_gateway_is_the_one_that_is_judged_and_the_report_says_so() -> None:
    one: Round = {"bare": turn(10_000, 40), "gateway": turn(6_000, 60), "gateway-compiled": turn(8_000, 50)}
    targets = report.targets(result([one]))
    assert [target.met for target in targets] == [True, True]
    assert all("`gateway-compiled`" in target.promise for target in targets)
    text = report.text(result([one]))
    assert "The last two columns and the targets are about `gateway-compiled`." in text
    assert report.document(result([one]))["judged"] == "gateway-compiled"


def test_the_recommended_way_is_judged_and_compared_with_the_app_served_likewise() -> None:
    one: Round = {"bare": turn(10_000, 40), "gateway-compiled": turn(7_000, 55), "gateway-embedded": turn(9_000, 45)}
    assert report.judged([one]) == "gateway-embedded"
    assert "Of `bare-embedded`" not in report.text(result([one]))
    text = report.text(result([one | {"bare-embedded": turn(12_000, 36)}]))
    assert "Of `bare-embedded`, `gateway-embedded` keeps 0.75 (0.75..0.75) and adds 9.0 (9.0..9.0) CPU µs." in text


def test_what_was_left_out_is_noted() -> None:
    without = dataclasses.replace(result([{"bare": turn(10_000, 100)}]), left_out=("`x` was left out: no compiler",))
    assert report.notes(without) == ["`x` was left out: no compiler"]
    assert "note    `x` was left out: no compiler" in report.text(without)


def test_the_compiled_app_refuses_to_run_on_sources(world: World) -> None:
    for create in (gateway.create_compiled, gateway.create_bare):
        with pytest.raises(SystemExit, match="is not compiled"):
            create(world)


def test_the_report_reads_without_the_gateway() -> None:
    text = report.text(result([{"bare": turn(10_000)}]))
    assert "keeps at least" not in text


@pytest.mark.parametrize(
    ("doubtful", "note"),
    [
        (result([{"bare": turn(10_000)}], ceiling=15_000), "only 1.5 times as fast"),
        (result([{"bare": turn(10_000, 100, busy=0.5)}]), "`bare` computed only 50% of the time"),
        (
            result([{"bare": turn(10_000), "gateway": turn(8_000)}, {"bare": turn(10_000), "gateway": turn(6_000)}]),
            "the rounds disagree",
        ),
    ],
)
def test_doubtful_figures_say_so(doubtful: report.Result, note: str) -> None:
    assert any(note in told for told in report.notes(doubtful))


def test_a_busy_server_and_a_fast_load_leave_nothing_to_note() -> None:
    assert report.notes(result([{"bare": turn(10_000, 100)}])) == []


def test_the_json_document_holds_every_turn() -> None:
    shown = json.loads(json.dumps(report.document(result([{"bare": turn(10_000), "gateway": turn(8_000)}] * 3))))
    assert len(shown["rounds"]) == 3
    assert shown["rounds"][0]["gateway"]["rate"] == 8_000
    assert shown["ratios"]["gateway"]["rate_of_bare"]["median"] == pytest.approx(0.8)
    assert shown["conditions"]["versions"]["uvicorn"]


# --- load generators


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_requests_survive_the_file(tmp_path_factory: pytest.TempPathFactory, requests: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("wire") / "some.requests"
    wire.write(path, requests)
    assert wire.read(path) == requests


ANSWERS = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_complete_at_its_last_byte_and_not_before(answer: bytes) -> None:
    assert client.answer_length(answer) == len(answer)
    assert client.answer_length(answer + ANSWERS[0]) == len(answer)
    for cut in range(len(answer)):
        length = client.answer_length(answer[:cut])
        assert length is None or length > cut


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values_and_so_many_lie_below_it(values: list[int], share: float) -> None:
    ordered = sorted(values)
    found = client.quantile(ordered, share)
    assert found in ordered
    assert sum(value < found for value in ordered) <= share * len(ordered)
    assert client.quantile([], share) == 0


async def _serve(answer: Callable[[int], list[bytes]]) -> tuple[asyncio.Server, int, list[bytes]]:
    """A server that answers request number n with `answer(n)`, piece by piece; an empty list hangs up."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            seen.append(head)
            pieces = answer(len(seen))
            if not pieces:
                break
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], seen


async def test_the_client_sends_every_request_once_and_counts_answers_by_status() -> None:
    requests = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(50)]
    refused = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"
    server, port, seen = await _serve(lambda n: [refused] if n % 10 == 0 else [ANSWERS[0][:20], ANSWERS[0][20:]])
    async with server:
        counted = await client.drive(port, requests, connections=4, seconds=None)
    assert sorted(seen) == sorted(requests)
    assert counted["statuses"] == {"200": 45, "403": 5}
    assert (counted["requests"], counted["broken"]) == (50, 0)
    assert generator.parse(json.dumps(counted)).wrong == 5


async def test_a_connection_that_ends_before_its_answer_is_counted_as_wrong() -> None:
    server, port, _ = await _serve(lambda n: [] if n == 3 else [ANSWERS[0]])
    async with server:
        counted = await client.drive(port, [b"GET / HTTP/1.1\r\n\r\n"] * 5, connections=1, seconds=None)
    assert (counted["requests"], counted["broken"]) == (2, 1)
    assert generator.parse(json.dumps(counted)).wrong == 1


def test_what_wrk_prints_is_found_between_its_own_lines() -> None:
    printed = (
        "Running 2s test @ http://127.0.0.1:8000/\n  1 threads and 32 connections\n"
        f'{wrk.MARK}{{"requests": 100, "seconds": 2.01, "wrong": 3, "p50_ms": 1.5, "p99_ms": 9.25}}\n'
    )
    assert wrk.parse(printed) == Load(requests=100, seconds=2.01, wrong=3, p50_ms=1.5, p99_ms=9.25)


def test_wrk_without_a_result_stops_the_run_with_its_own_words() -> None:
    with pytest.raises(SystemExit, match="unable to connect"):
        wrk.parse("Running…", "unable to connect to 127.0.0.1")


def test_wrk_is_asked_for_by_name_only_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="wrk is not on PATH"):
        generator.choose("wrk")
    assert generator.choose().name == generator.choose("own").name == "the built-in asyncio client"


# --- traffic


def test_four_of_five_requests_view_and_one_orders(world: World) -> None:
    lines = Counter(request.split(b" HTTP", 1)[0] for request in traffic.timed(world.customers))
    assert lines == {b"GET /api/v1/market": 800, b"POST /api/v1/orders": 200}


def test_nothing_that_is_timed_is_new_after_the_first_requests(world: World) -> None:
    assert set(traffic.timed(world.customers)) == set(traffic.once(world.customers))


def test_varied_requests_are_all_different_and_ask_the_same(world: World) -> None:
    timed = traffic.timed(world.customers)
    varied = traffic.varied(timed)
    assert len(set(varied)) == len(timed) > len(set(timed))
    told = (b"X-Request-Id: ", b"traceparent: ")
    plain = [b"\r\n".join([line for line in one.split(b"\r\n") if not line.startswith(told)]) for one in varied]
    assert plain == timed


def test_every_request_is_one_complete_message(world: World) -> None:
    class Counting:
        complete = 0

        def on_message_complete(self) -> None:
            self.complete += 1

    timed = traffic.timed(world.customers)
    for request in {*timed, *traffic.varied(timed[:20]), *(probe.request for probe in traffic.probes(world))}:
        seen = Counting()
        httptools.HttpRequestParser(seen).feed_data(request)
        assert seen.complete == 1


def test_addresses_and_tokens_are_distinct_and_come_back_in_every_run(
    world: World, databases: tuple[Path, Path], tmp_path: Path
) -> None:
    again = build(tmp_path, customers=200, country_db=databases[0], asn_db=databases[1])
    assert len({one.token for one in world.customers}) == 200
    assert len({one.address for one in world.customers}) == 200
    assert [one.address for one in again.customers] == [one.address for one in world.customers]
    assert load_world(tmp_path) == again


def test_tokens_verify_with_the_published_key(world: World) -> None:
    keys = jwt.PyJWKSet.from_json(world.jwks.read_text())
    one = world.customers[3]
    claims = jwt.decode(one.token, keys["bench-1"].key, ["EdDSA"], audience="exchange-api")
    assert claims["sub"] == one.uid


def test_the_gateway_loads_the_configuration(world: World) -> None:
    settings = config.load(world.config)
    assert settings.identity is not None
    assert settings.identity.jwks == str(world.jwks)
    assert [route.operation for route in settings.operations][:2] == ["login", "view"]


def test_without_an_edition_the_run_stops_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="gateway geodb build"):
        build(tmp_path, country_db=tmp_path / "none.mmdb")


async def test_the_store_of_the_gateway_holds_the_same_customers(world: World) -> None:
    store = AccountStore(f"sqlite:///{world.store}")
    one = world.customers[7]
    status, verification, documents, residence, nationality = account_of(one.uid)
    try:
        account = await store.read(one.uid)
    finally:
        await store.close()
    assert account is not None
    assert (account.status, account.verification, account.documents) == (status, verification, frozenset(documents))
    assert (account.residence, account.nationality, account.flags) == (residence, nationality, frozenset())


# --- rules


def test_there_are_two_hundred_rules() -> None:
    assert len(rules.RULES) == len({rule.id for rule in rules.RULES}) == 200


def test_customers_are_granted_what_they_do_and_no_limit_closes_it(world: World) -> None:
    for one in world.customers:
        status, verification, documents, residence, nationality = account_of(one.uid)
        seen = rules.Context(
            "PT", 1000, status, verification, frozenset(), frozenset(documents), residence, nationality
        )
        for operation in ("view", "trade.spot"):
            touching = [rule for rule in rules.RULES if operation in rule.closes and rule.matches(seen)]
            assert [rule.effect for rule in touching] == ["grant"]


@pytest.mark.parametrize("size", [50, 200, 1000])
def test_a_rule_set_of_any_size_has_that_many_different_rules(size: int) -> None:
    assert len({rule.id for rule in rules.of_size(size)}) == size


def test_the_plain_loop_and_the_policy_files_decide_alike() -> None:
    bundle = load_bundle(rules.policy_files(), sources_configured=None)
    rng = random.Random(5)
    outcomes: Counter[Outcome] = Counter()
    for _ in range(2_000):
        seen = rules.Context(
            country=rng.choice([*rules.CLOSED, *rules.RESTRICTED]),
            asn=rng.choice([1_000, *rules.NETWORKS[7], 64_511]),
            status=rng.choice(["open", "open", "exit_only", "flagged", "restricted"]),
            verification=rng.choice(["none", "basic", "full"]),
            flags=frozenset(rng.sample(rules.FLAGS, rng.choice([0, 0, 2]))),
            documents=frozenset(rng.sample(rules.RESTRICTED, 1)),
            residence=rng.choice(rules.RESTRICTED),
            nationality=rng.choice(rules.RESTRICTED),
        )
        operation = rng.choice(rules.ALL)
        touching = [rule for rule in rules.RULES if operation in rule.closes and rule.matches(seen)]
        by = {rule.id for rule in touching if rule.effect != "grant"}
        granted = any(rule.effect == "grant" for rule in touching)
        verdict = evaluate(seen.facts(0)._replace(operation=Operation(operation), assurance=0), bundle)
        assert {one.rule for one in verdict.by} == by
        assert (verdict.outcome is Outcome.ALLOW) == (granted and not by)
        outcomes[verdict.outcome] += 1
    assert min(outcomes[one] for one in Outcome) > 20


def test_every_limit_of_the_policy_files_has_its_test() -> None:
    for text in rules.policy_files().values():
        assert text.count("    reason: ") == text.count("  - name: ")


# --- answers


@pytest.fixture
def fence(world: World) -> Iterator[straightforward.GeoFence]:
    """The straightforward implementation, closed afterwards."""
    app = straightforward.create(world)
    yield app
    app.close()


@pytest.mark.parametrize("name", ["bare", "two-headers", "straightforward"])
async def test_every_app_refuses_what_it_claims_to_and_nothing_else(
    name: str, world: World, fence: straightforward.GeoFence
) -> None:
    app = {"bare": market.create(world), "two-headers": floor.create(world), "straightforward": fence}[name]
    for probe in traffic.probes(world):
        status, body = await inprocess.ask(app, *inprocess.scope_of(probe.request))
        assert answers.fault(name, probe, status, body) is None


async def test_the_gateway_refuses_what_it_claims_to_and_nothing_else(real_world: World) -> None:
    app = gateway.create(real_world)
    async with inprocess.started(app):
        for probe in traffic.probes(real_world):
            status, body = await inprocess.ask(app, *inprocess.scope_of(probe.request))
            assert answers.fault("gateway", probe, status, body) is None


async def test_an_app_that_lets_everybody_through_does_not_pass_for_one_that_decides(world: World) -> None:
    app = market.create(world)
    faults: Counter[Kind] = Counter()
    for probe in traffic.probes(world):
        status, body = await inprocess.ask(app, *inprocess.scope_of(probe.request))
        faults[probe.kind] += answers.fault("gateway", probe, status, body) is not None
    assert faults == {Kind.SERVED: 0, Kind.CLOSED: 20, Kind.FORGED: 1}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (403, b"{}", "403 where it must let through"),
        (500, b"oops", "500 where it must let through"),
        (200, b"oops", "not JSON"),
        (200, b'{"accepted": false}', "not the app's answer"),
    ],
)
def test_a_wrong_answer_to_a_customer_is_named(status: int, body: bytes, why: str) -> None:
    found = answers.fault("gateway", traffic.Probe(Kind.SERVED, b""), status, body)
    assert found is not None
    assert why in found


async def test_the_straightforward_implementation_logs_what_it_decided(
    world: World, fence: straightforward.GeoFence
) -> None:
    before = (world.folder / "straightforward.log").read_text().count("\n")
    one = world.closed_out[0]
    await inprocess.ask(fence, *inprocess.scope_of(traffic.market(one)))
    lines = (world.folder / "straightforward.log").read_text().splitlines()
    event = json.loads(lines[before])
    assert event["account"] == one.uid
    assert event["country"] in CLOSED
    assert event["rules"] == [f"closed-{event['country'].lower()}"]


def test_servers_sleep_until_they_are_woken_and_tell_their_cpu_time(world: World) -> None:
    with running(["bare", "canned"], world, None) as servers:
        bare = servers["bare"]
        bare.wake()
        first = bare.cpu_s()
        answers.check(bare, traffic.probes(world))
        second = bare.cpu_s()
        bare.check_alive()
        assert first is None or (second is not None and second > first)
    assert all(server.process.returncode is not None for server in servers.values())


# --- memory


def samples(own: list[int]) -> list[memory.Sample]:
    return [memory.Sample(number, kib, kib) for number, kib in enumerate(own)]


def test_memory_that_fills_its_caches_and_stays_is_flat() -> None:
    assert memory.growth(samples([*range(20), *[100] * 60])) == 1.0


def test_memory_that_leaks_is_not_flat() -> None:
    assert memory.growth(samples(list(range(1000, 1800, 10)))) > memory.FLAT


async def test_visitors_of_every_kind_reach_the_gateway_and_are_counted(real_world: World) -> None:
    samples, statuses = await memory.run(real_world, 400)
    assert len(samples) == memory.SAMPLES
    assert statuses.total() == 400
    # Customers; odd spellings; forged tokens; strangers from anywhere.
    assert min(statuses[status] for status in (200, 400, 401, 403)) > 0
    assert sum(statuses[status] for status in (200, 400, 401, 403)) == 400


def test_a_scope_holds_what_the_server_would_have_read() -> None:
    scope, body = inprocess.scope_of(b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-Forwarded-For:  1.2.3.4 \r\n\r\nbody")
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "POST",
        "/a b",
        b"/a%20b",
        b"c=d",
    )
    assert scope["headers"] == [(b"host", b"x"), (b"x-forwarded-for", b"1.2.3.4")]
    assert body == b"body"


async def test_a_lifespan_that_fails_is_told_in_its_own_words() -> None:
    async def broken(_scope: object, _receive: object, _send: Callable[[dict[str, str]], Awaitable[None]]) -> None:
        raise ValueError("no such database")

    with pytest.raises(ExceptionGroup, match="unhandled") as raised:
        async with inprocess.started(broken):
            raise AssertionError("must not start")
    assert "no such database" in repr(raised.value.exceptions)
