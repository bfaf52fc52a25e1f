from pathlib import Path

from gateway.adapters.proof_report import Finding, Proof, WorkerProof

FINDING = Finding("w0", "w0-00000001.gwj", 4952, 41, 80, "it was altered here", 40)


def test_a_finding_says_place_numbers_and_how_much_it_may_hide() -> None:
    assert FINDING.text() == (
        "w0-00000001.gwj, offset 4952: it was altered here (decisions 41 to 80 of w0); may hide 40 answered requests"
    )
    assert FINDING._replace(file="w0-00000001.seals", offset=3).text().startswith("w0-00000001.seals, line 3: ")
    assert (
        FINDING._replace(offset=None, first=None, hides=0).text() == "w0-00000001.gwj: it was altered here; hides none"
    )
    assert FINDING._replace(hides=None).text().endswith("how many answered requests it may hide cannot be said")


def test_a_proof_without_findings_is_fine_and_says_what_is_proved() -> None:
    worker = WorkerProof("w0", 1, 4000, 2, 30, 1, 7, 35, "w0-00000003.gwj, offset 128")
    proof = Proof(Path("journal"), (worker,), ())
    assert proof.ok
    assert proof.text().splitlines() == [
        "journal journal: as it was sealed",
        (
            "  w0: decisions 1 to 4,000, 2 segments, 30 seals; 1 sealed after a kill; 7 decisions removed on purpose; "
            "35 decisions not sealed yet, from w0-00000003.gwj, offset 128"
        ),
    ]
    assert proof._replace(workers=(worker._replace(last=0),)).text().splitlines()[1].startswith("  w0: no decisions, ")


def test_a_proof_with_findings_is_not_fine_and_counts_those_it_does_not_hold() -> None:
    proof = Proof(Path("journal"), (), (FINDING,), more=2)
    assert not proof.ok
    assert proof.text().splitlines() == ["journal journal: 3 findings", f"  {FINDING.text()}", "  … and 2 more"]
    assert proof.to_json() == {
        "directory": "journal",
        "ok": False,
        "findings": [FINDING._asdict()],
        "more_findings": 2,
        "workers": [],
        "witnesses": [],
    }
