"""What is said of many who would be locked out, and of findings that stay with a revision."""

from gateway.core.account import Refused
from gateway.core.terms import Operation
from gateway.policies.bundle import assemble, load
from gateway.policies.findings import Finding, Place, Severity
from gateway.policies.lock_out import guarded
from gateway.service.examining import Examining
from tests.service.test_publishing import NEW, NOW, OLD, Diff, Share


def examining(**more) -> Examining:
    async def simulate(_candidate, _against):
        return Share(0.25)

    parts = {
        "load": lambda texts: load(texts, sources_configured=None),
        "assemble": lambda texts: assemble(texts, sources_configured=None),
        "notices": lambda _bundle, _at: [],
        "compare": lambda _old, _new, _since: Diff(),
        "refuse_widening": lambda _diff, _allowed, _reason: None,
        "simulate": simulate,
    }
    return Examining(**{**parts, **more})


async def test_of_many_who_would_be_locked_out_the_first_are_named_and_the_rest_counted() -> None:
    everybody = [guarded(f"desk {n}", {"country": "KP", "status": "open"}, [Operation.VIEW]) for n in range(7)]
    bundle = load(NEW, sources_configured=None)
    found = await examining(guarded=tuple(everybody)).locks_out(bundle, NOW)
    assert isinstance(found, Refused)
    assert found.message.count("could not view") == 5
    assert ", and 2 more;" in found.message
    assert await examining().locks_out(bundle, NOW) is None


async def test_findings_stay_with_the_revision_with_their_place_and_weight() -> None:
    finding = Finding(Place("house.yaml", 3, 1), "look here", "list-unused", Severity.WARNING)
    bundle = load(NEW, sources_configured=None)
    found = await examining(notices=lambda _bundle, _at: [finding]).found(OLD, bundle, None, NOW)
    assert found["findings"] == [
        {
            "file": "house.yaml",
            "line": 3,
            "column": 1,
            "message": "look here",
            "code": "list-unused",
            "severity": "warning",
        }
    ]
    assert (found["diff"], found["simulation"]) == (None, {"share": 0.25})


async def test_what_was_active_and_cannot_be_read_any_more_may_be_left_by_who_says_so() -> None:
    bundle, damaged = load(NEW, sources_configured=None), {"house.yaml": "policy: house"}
    found = await examining().compared(damaged, bundle, NOW, allowed=False, reason="back")
    assert isinstance(found, Refused)
    assert (found.what, "cannot be read any more" in found.message) == ("widening", True)
    assert isinstance(await examining().compared(damaged, bundle, NOW, allowed=True, reason=" "), Refused)
    assert await examining().compared(damaged, bundle, NOW, allowed=True, reason="back") is None
    assert (await examining().simulated(damaged, bundle))[0] == 0.25


async def test_what_does_not_load_is_refused_with_every_finding() -> None:
    found = await examining().loaded({"a.yaml": "policy: a", "b.yaml": "policy: b"})
    assert isinstance(found, Refused)
    assert found.what == "policies"
    assert "a.yaml" in found.message
    assert "b.yaml" in found.message
