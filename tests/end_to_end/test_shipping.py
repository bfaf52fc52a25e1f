"""Decisions reach the archive while the gateway serves, once each, whoever is killed in between."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.progress import ProgressFile
from gateway.app.records import Records
from tests.under_load import Storm, answered_by, archived, config_of, requests_of, served, wait_for

KILLS = 20
SOAK_KILLS = 500


def load(site, port: int, wanted: int) -> list[str]:
    """Return the ids of so many answers."""
    return asyncio.run(answered_by(port, requests_of(site), wanted))


def assert_all_once(config: Path, answered: list[str]) -> int:
    """Return how many decisions the archive has: every answered one among them, none twice, each counted."""
    found, counted = archived(config)
    assert set(answered) <= set(found)
    assert counted == len(found) == len(set(found))
    return counted


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_archive_once_however_often_the_gateway_is_killed(site) -> None:
    tally = Storm(site, kills=KILLS, seed=20230215).run()
    assert tally.answered > 20 * KILLS
    assert tally.reclaimed
    assert tally.fine, tally.text()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_and_after_five_hundred_kills(site) -> None:
    tally = Storm(site, kills=SOAK_KILLS, seed=20230401).run()
    assert tally.fine, tally.text()


@pytest.mark.parametrize("how", ["process", "thread"])
def test_a_gateway_ships_while_it_serves_and_ends_with_everything_shipped(site, how) -> None:
    config = config_of(site, how)
    with served(config) as (process, gateway):
        answered = load(site, gateway.port, 400)
        records = Records.of(config)
        last = records.find(answered[-1])
        assert last is not None
        assert last["id"] == answered[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}
    shipped = assert_all_once(config, answered)
    progress = ProgressFile(site.folder / "journal").read()
    assert progress["shipped"] == shipped
    assert (progress["behind_bytes"], progress["oldest"]) == (0, None)


def test_of_several_gateways_one_ships_and_another_takes_over_when_it_dies(site) -> None:
    config = config_of(site, "process")
    with served(config) as (_, first):
        answered = load(site, first.port, 50)
        progress = ProgressFile(site.folder / "journal")
        wait_for(lambda: progress.read().get("shipped", 0) >= 50)
        with served(config) as (second, other):
            answered += load(site, other.port, 50)
            first.kill(shipper_too=True)
            answered += load(site, other.port, 50)
            wait_for(lambda: set(answered) <= set(archived(config)[0]))
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) in {0, -signal.SIGTERM}
    assert_all_once(config, answered)


def test_a_command_ships_beside_gateways_that_do_not_and_ends_with_everything_shipped(site) -> None:
    config = config_of(site, "process")
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "ship", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as shipper, served(config) as (_, gateway):
        answered = load(site, gateway.port, 50)
        progress = ProgressFile(site.folder / "journal")
        wait_for(lambda: progress.read().get("shipped", 0) >= 50)
        answered += load(site, gateway.port, 50)
        gateway.kill(shipper_too=False)
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(30) == 0
    assert_all_once(config, answered)
