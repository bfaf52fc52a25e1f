import asyncio
import re

import pytest
from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.app.parts import archive_of, plan_of
from gateway.app.records import Records
from gateway.app.shipper import ship
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.request import AccessRequest


def decided(site) -> str:
    """Let a gateway decide one request, and end; return the id."""

    async def live() -> str:
        gateway = Gateway.configured(site.config)
        await gateway.start()
        headers = [(b"host", b"exchange.example")]
        passage = await gateway.line.decide(AccessRequest(gateway.clock.now(), "2.80.10.20", "GET", b"/", headers))
        await gateway.close()
        return passage.decision_id.decode()

    return asyncio.run(live())


def shipped(site) -> None:
    async def once() -> None:
        stop = asyncio.Event()
        stop.set()
        assert await ship(plan_of(load(site.config)), stop)

    asyncio.run(once())


def test_a_decision_is_found_before_it_is_shipped_and_after(site) -> None:
    first = decided(site)
    assert Records.of(site.config).find(first)["id"] == first
    assert not (site.folder / "decisions.db").exists(), "who looks makes no archive"
    shipped(site)
    second = decided(site)
    found = [Records.of(site.config).find(one) for one in (first, second)]
    assert [one["id"] for one in found] == [first, second]


def test_what_is_shipped_is_found_when_the_journal_is_gone(site) -> None:
    decision = decided(site)
    shipped(site)
    for segment in (site.folder / "journal").glob("*.gwj"):
        segment.unlink()
    assert Records.of(site.config).find(decision)["id"] == decision


def test_what_is_shipped_and_what_is_not_yet_is_told_once_each(site) -> None:
    first = decided(site)
    shipped(site)
    for segment in (site.folder / "journal").glob("*.gwj"):
        segment.unlink()
    second = decided(site)
    records = Records.of(site.config)
    assert sorted(one["id"] for one in records.since("1h")) == [first, second]
    assert {records.replay(one).kind for one in records.since("1h")} == {"same"}
    shipped(site)
    assert sorted(one["id"] for one in records.since("1h")) == [first, second]
    assert list(records.since("2099-01-01T00:00:00Z")) == []


def test_what_is_shipped_is_found_in_the_journal_when_the_archive_is_away(site) -> None:
    decision = decided(site)
    shipped(site)
    for file in site.folder.glob("decisions.db*"):
        file.unlink()
    (site.folder / "decisions.db").mkdir()
    with capture_logs() as logs:
        assert Records.of(site.config).find(decision)["id"] == decision
    assert [entry["event"] for entry in logs] == ["archive:not_asked"]


def test_a_gateway_without_an_archive_finds_in_its_journal(site) -> None:
    text = re.sub(r'ship = "\w+"', 'url = "none"', site.config.read_text())
    site.config.write_text(text)
    assert archive_of(load(site.config)) is None
    decision = decided(site)
    assert Records.of(site.config).find(decision)["id"] == decision


def test_what_was_never_decided_is_not_found(site) -> None:
    records = Records.of(site.config)
    assert records.find("01a1fe24-0781-76f5-8448-bc975e14658b") is None
    assert list(records.since("7d")) == []


@pytest.mark.parametrize("since", ["yesterday", "7", "2026-01-01", "9w", ""])
def test_a_since_that_cannot_be_read_says_how_to_write_it(site, since) -> None:
    with pytest.raises(ConfigError, match="90m, 24h, 7d"):
        Records.of(site.config).since(since)


def test_a_decision_without_its_bundle_is_explained_without_the_rules_own_words(site) -> None:
    document = {
        "id": "01a1fe24-0781-76f5-8448-bc975e14658b",
        "at": "2026-01-01T00:00:00.000000Z",
        "request": {"method": "GET", "path": "/", "host": "h", "user_agent": ""},
        "client_ip": {"address": None, "reason": "no-peer", "how": "unresolved", "chain": []},
        "operation": None,
        "facts": None,
        "unknown": None,
        "bundle": "ab" * 32,
        "editions": [],
        "verdict": None,
        "ambiguous": {"why": "host", "detail": "no Host"},
        "reply": {"status": 400, "reason": "ambiguous-request"},
        "took_us": 1,
    }
    assert "no Host" in Records.of(site.config).explain(document).text()
