import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.adapters.progress import ProgressFile
from gateway.adapters.shipping_lock import ShippingLock
from gateway.app import shipping_process
from gateway.app.shipping_process import ShippingProcess, ShippingThread
from tests.adapters.sinks.rig import RULING
from tests.shipping import journal_of, taken_by

JOURNAL = 50


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", [ShippingProcess, ShippingThread])
def test_it_ships_and_ends_when_it_is_told(plan, how) -> None:
    async def live() -> None:
        shipper = how(plan)
        await shipper.start()
        await until(lambda: ProgressFile(Path(plan.directory)).read().get("shipped") == JOURNAL)
        await shipper.close()

    journal_of(plan, JOURNAL)
    asyncio.run(live())
    assert set(taken_by(plan)) == {"w0"}
    assert ShippingLock(Path(plan.directory)).take()


@pytest.mark.parametrize("how", [ShippingProcess, ShippingThread])
def test_a_sink_on_standard_output_writes_to_the_gateway_s_own(plan, how, capfd) -> None:
    to_stdout = plan._replace(sinks=[{"kind": "stdout", "name": "out", "linger_ms": 0}])

    async def live() -> None:
        shipper = how(to_stdout)
        await shipper.start()
        await until(lambda: ProgressFile(Path(plan.directory)).read().get("sink:out:sent") == JOURNAL)
        await shipper.close()

    journal_of(plan, JOURNAL, RULING)
    asyncio.run(live())
    lines = [orjson.loads(line) for line in capfd.readouterr().out.splitlines() if line[0] == "{"]
    assert len({line["id"] for line in lines}) == len(lines) == JOURNAL


@pytest.mark.parametrize("how", [ShippingProcess, ShippingThread])
def test_one_that_was_never_started_can_be_closed(plan, how) -> None:
    asyncio.run(how(plan).close())
    assert not Path(plan.directory).exists()


def test_a_process_that_dies_is_replaced_and_it_is_said(plan, monkeypatch) -> None:
    monkeypatch.setattr(shipping_process, "_AGAIN_S", (0.01, 0.02))

    async def live() -> None:
        shipper = ShippingProcess(plan)
        await shipper.start()
        await until(lambda: shipper.pid)
        first = shipper.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: shipper.pid not in {None, first})
        await until(lambda: ProgressFile(Path(plan.directory)).read().get("shipped") == JOURNAL)
        await shipper.close()

    journal_of(plan, JOURNAL)
    with capture_logs() as logs:
        asyncio.run(live())
    assert [entry["why"] for entry in logs if entry["event"] == "gateway:shipper_ended"] == ["it ended with -9"]


def test_no_process_is_made_while_somebody_else_ships(plan) -> None:
    lock = ShippingLock(Path(plan.directory))
    assert lock.take()

    async def live() -> None:
        shipper = ShippingProcess(plan)
        await shipper.start()
        await asyncio.sleep(0.05)
        assert shipper.pid is None
        await shipper.close()

    asyncio.run(live())
    lock.release()


def test_one_that_does_not_end_is_ended(plan, monkeypatch) -> None:
    monkeypatch.setattr(shipping_process, "ENDED_WITHIN_S", 0.2)

    async def live() -> None:
        shipper = ShippingProcess(plan)
        await shipper.start()
        await until(lambda: ProgressFile(Path(plan.directory)).read())
        stopped = shipper.pid
        os.kill(stopped, signal.SIGSTOP)
        await shipper.close()
        with pytest.raises(ProcessLookupError):
            os.kill(stopped, 0)

    with capture_logs() as logs:
        asyncio.run(live())
    assert "gateway:shipper_cut_short" in [entry["event"] for entry in logs]
