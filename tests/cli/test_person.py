"""Looks that are noted: what a command shows whole stands in the audit before it is shown."""

import json

from tests.cli.desk import Commands


def test_a_timeline_is_masked_until_somebody_says_why(run: Commands) -> None:
    run("account", "flag", "alice", "us-ip", "--why", "from 203.0.113.7 thrice")
    masked = run("account", "timeline", "alice")
    assert masked.exit_code == 0
    assert "203.0.113.7" not in masked.stdout
    assert "flag.add" in masked.stdout
    before = run("account", "history", "alice", "--json").stdout
    whole = run("account", "timeline", "alice", "--unmask", "TICKET-7: she disputes it", "--json")
    assert "203.0.113.7" in whole.stdout
    entry, *rest = json.loads(run("account", "history", "alice", "--json").stdout)
    assert (entry["action"], entry["why"], rest) == ("timeline.unmask", "TICKET-7: she disputes it", json.loads(before))
    refused = run("account", "timeline", "alice", "--unmask", " ")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert run("account", "timeline", "bob").exit_code == 1
    page = run.json("account", "timeline", "alice", "--limit", "1")
    assert len(run.json("account", "timeline", "alice", "--cursor", page["cursor"])["moments"]) == 2
