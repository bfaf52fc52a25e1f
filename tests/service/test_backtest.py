import hashlib

import pytest

from gateway.core.login import Digests
from gateway.service.backtest import Backtest, Judged, detectors
from gateway.service.history import BadLine, Reader, events
from gateway.service.synth import Size, history, ndjson
from tests.service.histories import line

DIGESTS = Digests(b"only for these tests")
SCORES = "e3c9ae277ee4a1a1b13b41e885df31afafdd2139b61381c6a098d8b502ff158c"
"""Of all that is judged of a small history. It changes when a number of the score does, and with nothing else."""
TOKYO = {"country": "JP", "asn": 2907, "lat": 35.68, "lon": 139.69, "radius_km": 10, "network": []}
CHARLIE = {"ip": "133.1.2.3", "device": "charlie's phone", "geo": TOKYO}


def refused(fault: BadLine) -> None:
    raise fault


def run(lines: list[bytes], **options: object) -> tuple[Backtest, list[Judged]]:
    backtest = Backtest((0.015, 0.09), **{"refit": False, **options})
    return backtest, list(backtest.run(events(lines, Reader(DIGESTS), refused)))


def customers(days: int = 120, accounts: int = 12) -> list[bytes]:
    """Return the logins and withdrawals of a dozen customers, each with a device and a wallet of their own."""
    lines = []
    for day in range(days):
        for number in range(accounts):
            who = {"account": f"c{number}", "device": f"device {number}", "ip": f"85.240.{number}.7"}
            session = f"c{number} {day}"
            lines.append(line(day + number / 100, id=f"l{number} {day}", session=session, **who))
            if day % 3 == 0:
                lines.append(
                    line(
                        day + number / 100 + 0.005,
                        "withdrawal",
                        id=f"w{number} {day}",
                        session=session,
                        destination=f"wallet {number}",
                        balance_share=0.2,
                        **who,
                    )
                )
    return lines


def theft(day: float, **fields: object) -> list[bytes]:
    taken = {"destination": "charlie's", "balance_share": 1.0, "account": "c1", "label": "stolen", **CHARLIE}
    return [
        line(day, account="c1", session="x", label="stolen", **CHARLIE),
        line(day + 0.01, "withdrawal", session="x", **{**taken, **fields}),
    ]


def test_a_thief_is_held_and_customers_are_not() -> None:
    backtest, judged = run([*customers(), *theft(110.5)], test_from_days=100, refit=True)
    tested = [one for one in judged if one.phase == "test"]

    assert [one.held for one in tested if one.event.label] == [(True, True)]
    assert sum(one.held[0] for one in tested if one.event.label is None) == 0
    assert backtest.fitted
    assert {one.label for one in backtest.tested} == {None, "stolen"}


def test_phases_follow_one_another_and_only_the_test_holds() -> None:
    _, judged = run(customers(), test_from_days=100)

    phases = list(dict.fromkeys(one.phase for one in judged))
    assert phases == ["warm-up", "fit", "calibration", "test"]
    assert all(bool(one.held) == (one.phase == "test") for one in judged)


def test_labels_change_nothing_that_the_gateway_would_do() -> None:
    named, plain = theft(60), theft(60, label=...)
    plain[0] = plain[0].replace(b'"label":"stolen"', b'"label":"legitimate"')
    before, after = (
        {one.event.id: (one.score.total, one.rules) for one in run([*customers(), *stolen], test_from_days=100)[1]}
        for stolen in (named, plain)
    )

    assert {key for key in before if abs(before[key][0] - after[key][0]) > 0.2} == set()
    assert all(before[key][1] == after[key][1] for key in before)


def test_a_thief_who_was_not_held_is_in_quarantine_like_anybody() -> None:
    second = line(112, "withdrawal", id="second", account="c1", session="y", destination="another", **CHARLIE)
    _, judged = run([*customers(), *theft(110.5), second], test_from_days=100)

    last = next(one for one in judged if one.event.id == "second")
    assert {term.name: term.told for term in last.score.terms}["new device"] == "never at home"
    assert last.held[0]


def test_a_withdrawal_that_failed_confirms_no_destination() -> None:
    for outcome, known in (("failed", "new"), (..., "new"), ("succeeded", "old")):
        first = line(
            50, "withdrawal", account="c1", destination="d", balance_share=0.1, outcome=outcome, device="device 1"
        )
        again = line(60, "withdrawal", account="c1", destination="d", balance_share=0.1, id="again", device="device 1")
        _, judged = run([*customers(70), first, again], test_from_days=65)

        found = next(one for one in judged if one.event.id == "again")
        assert {term.name: term.told for term in found.score.terms}["destination"] == known


def test_the_same_event_twice_is_one() -> None:
    once = customers(40)
    backtest, judged = run([each for one in once for each in (one, one)])
    _, same = run(once)

    assert backtest.counts.repeats == len(once)
    assert [one.score.total for one in judged] == [one.score.total for one in same]


def test_failed_logins_teach_nothing() -> None:
    failed = [line(day + 0.5, account="c1", outcome="failed", **CHARLIE) for day in range(60)]
    backtest, _ = run([*customers(90), *failed, *theft(89.5)], test_from_days=85)

    assert backtest.counts.failed == 60
    assert next(one for one in backtest.tested if one.label).held & 1


def test_memory_does_not_grow_with_the_accounts_in_use() -> None:
    narrow, few = run([*customers(), *theft(110.5)], test_from_days=100, in_use=2)
    wide, many = run([*customers(), *theft(110.5)], test_from_days=100)

    assert [one.held for one in few] == [one.held for one in many]
    assert [one.score.total for one in few] == pytest.approx([one.score.total for one in many], abs=1e-4)
    assert narrow.counts == wide.counts


def test_the_same_seed_gives_the_same_figures() -> None:
    one, other = (run([*customers(), *theft(110.5)], test_from_days=100, seed=3)[0] for _ in range(2))

    assert one.tested == other.tested
    assert one.thresholds == other.thresholds


def test_what_makes_figures_weak_is_said() -> None:
    backtest, _ = run(customers(7))

    told = " ".join(backtest.warnings())
    assert "84 logins are few" in told
    assert "shipped shares" in told
    assert "it takes 100" in told


def test_the_rows_of_a_report_are_the_budgets_and_the_rules() -> None:
    assert detectors((0.015,))[0] == "score, budget 1.5 %"
    assert len(detectors((0.015, 0.02))) == 6


def test_scores_are_what_they_were_recorded_to_be() -> None:
    backtest = Backtest((0.016, 0.05), test_from_days=160)
    found = hashlib.sha256()
    for one in backtest.run(events(ndjson(history(7, Size(150, 200, 6))), Reader(DIGESTS), refused)):
        terms = [(term.name, f"{term.value:.4f}", term.told) for term in one.score.terms]
        found.update(f"{one.event.id} {one.score.total:.4f} {one.held} {terms} {tuple(one.rules)}".encode())

    assert backtest.counts.withdrawals == 378
    assert found.hexdigest() == SCORES
