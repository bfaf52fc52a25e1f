import pytest

from gateway.app.records import Records
from gateway.core.errors import ConfigError


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
