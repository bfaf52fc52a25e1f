import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.config import load
from gateway.core.decision import instant_text
from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.request import AccessRequest


def test_it_starts_once_and_closes_once_however_often_it_is_asked(site) -> None:
    async def live():
        gateway = Gateway.configured(site.config)
        assert not gateway.started
        await asyncio.gather(gateway.start(), gateway.start())
        assert gateway.started
        await gateway.close()
        await gateway.close()
        assert not gateway.started
        assert gateway.archive.get(gateway.line.bundle.digest) == gateway.line.bundle.sources

    asyncio.run(live())


def test_a_start_that_fails_half_way_lets_go_of_what_it_took(site) -> None:
    async def live():
        gateway = Gateway(load(site.config))
        (site.folder / "gateway.db").mkdir()
        with pytest.raises(GatewayError):
            await gateway.start()
        assert not gateway.started
        (site.folder / "gateway.db").rmdir()
        again = Gateway(load(site.config))
        await again.start()
        await again.close()

    asyncio.run(live())


def test_policies_that_vanish_leave_the_running_ones(site) -> None:
    async def live():
        gateway = Gateway(load(site.config))
        await gateway.start()
        before = gateway.line.bundle
        for file in (site.folder / "policies").iterdir():
            file.unlink()
        (site.folder / "policies").rmdir()
        await gateway.refresh()
        assert gateway.line.bundle is before
        await gateway.close()

    asyncio.run(live())


def test_a_tightened_policy_is_taken_once_a_fault_has_passed(site, monkeypatch) -> None:
    async def live():
        gateway = Gateway(load(site.config))
        await gateway.start()
        before = gateway.line.bundle
        (site.folder / "policies" / "closed.yaml").write_text(
            site.policy.replace('"IR"', '"KP"').replace(": IR", ": KP")
        )

        def full(bundle):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(gateway.archive, "put", full)
            await gateway.refresh()
        assert gateway.line.bundle is before
        await gateway.refresh()
        assert gateway.line.bundle is not before
        await gateway.close()

    asyncio.run(live())


EXCEPTION = """exceptions: desk
owner: compliance
entries:
  - id: payout
    operations: [withdraw]
    account: someone
    lifts: [closed/closed]
    reason: tests
    basis: tests
    from: {start}
    until: {end}
"""


def test_an_exception_among_the_files_is_taken_counted_and_its_end_is_said(site) -> None:
    async def live():
        gateway = Gateway(load(site.config))
        await gateway.start()
        rule = next(rule for rule in gateway.line.bundle.rules if (rule.policy, rule.effect) == ("closed", "limit"))
        now = gateway.clock.now()
        dates = {"start": instant_text(now)[:10], "end": instant_text(now + 5 * 86_400_000_000)[:10]}
        text = EXCEPTION.format(**dates).replace("closed/closed", "/".join(rule.ref))
        (site.folder / "policies" / "exceptions.yaml").write_text(text)
        with capture_logs() as logs:
            await gateway.refresh()
            await gateway.refresh()
        assert [one["exception"] for one in logs if one["event"] == "exceptions:expiring"] == ["desk/payout"]
        shown = gateway.metrics.exposition().decode()
        assert 'gateway_policy_exceptions{state="in_force"} 1.0' in shown
        assert "gateway_policy_exceptions_expiring 1.0" in shown
        await gateway.close()

    asyncio.run(live())


def test_what_it_decides_is_shipped_when_it_ends_and_its_metrics_say_so(site) -> None:
    async def live():
        site.config.write_text(site.config.read_text().replace('ship = "off"', 'ship = "process"'))
        gateway = Gateway(load(site.config))
        before = gateway.metrics.exposition().decode()
        assert "gateway_decisions_unrecorded_total 0.0" in before
        assert "gateway_shipping_lag_seconds" not in before
        assert 'gateway_errands_total{outcome="done"} 0.0' in before
        assert "gateway_errands_put_off_total 0.0" in before
        await gateway.start()
        headers = [(b"host", b"exchange.example")]
        await gateway.line.decide(AccessRequest(gateway.clock.now(), "2.80.10.20", "GET", b"/", headers))
        await gateway.close()
        return gateway.metrics.exposition().decode()

    after = asyncio.run(live())
    assert "gateway_shipping_decisions_total 1.0" in after
    assert "gateway_shipping_lag_seconds 0.0" in after
    assert "gateway_errands_unreadable_total 0.0" in after


def test_a_gateway_starts_and_serves_whether_its_archive_can_be_used_or_not(site) -> None:
    async def live():
        site.config.write_text(site.config.read_text().replace('ship = "off"', 'ship = "thread"'))
        (site.folder / "decisions.db").mkdir()
        gateway = Gateway(load(site.config))
        await gateway.start()
        headers = [(b"host", b"exchange.example")]
        passage = await gateway.line.decide(AccessRequest(gateway.clock.now(), "2.80.10.20", "GET", b"/", headers))
        await gateway.close()
        return passage.position

    assert asyncio.run(live()) is not None


async def test_what_cannot_be_written_keeps_nobody_from_being_read(site, monkeypatch) -> None:
    gateway = Gateway(load(site.config))
    await gateway.start()
    await site.fill(gateway.store)

    async def slow(*_):
        await asyncio.sleep(0.06)
        raise StoreUnavailable("its lock is held")

    monkeypatch.setattr(gateway.desk, "carry_out", slow)
    desk = gateway._at_once._desk
    for _ in range(7):
        with pytest.raises(StoreUnavailable):
            await desk.carry_out(None)
    said = gateway.metrics.exposition().decode()
    assert 'gateway_breaker_open{part="desk"} 1.0' in said
    assert 'gateway_breaker_open{part="store"} 0.0' in said
    await gateway.close()
