import pytest

from gateway.desk.evidence import (
    LEAST_FACE_MATCH,
    SATISFIED_BY,
    Evidence,
    EvidenceKind,
    IdentityResult,
    counts,
    missing,
)

PASSED = IdentityResult(document=True, liveness=True, face_match=0.97, reference="r-1")


def piece(kind: str, at: int = 10, result: IdentityResult | None = None) -> Evidence:
    return Evidence(f"{kind}-{at}", kind, at, "ben", "0" * 64, 1000, "image/jpeg", result)


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (PASSED, True),
        (PASSED._replace(face_match=LEAST_FACE_MATCH), True),
        (PASSED._replace(face_match=LEAST_FACE_MATCH - 0.01), False),
        (PASSED._replace(document=False), False),
        (PASSED._replace(liveness=False), False),
        (PASSED._replace(face_match=float("nan")), False),
    ],
)
def test_a_result_counts_where_document_liveness_and_face_all_speak_for_the_customer(
    result: IdentityResult, passed: bool
) -> None:
    assert result.passed is passed
    found = missing(["selfie_with_document"], [piece(EvidenceKind.IDENTITY_RESULT, result=result)], 0)
    assert found == (() if passed else ("selfie_with_document",))


def test_what_is_required_is_missing_until_it_is_there() -> None:
    required = ("selfie_with_document", "signed_note", "proof_of_address")
    assert missing(required, [], 0) == required
    assert missing(required, [piece("signed_note")], 0) == ("selfie_with_document", "proof_of_address")
    assert missing(required, [piece(kind) for kind in required], 0) == ()


def test_evidence_from_before_the_clock_started_does_not_count() -> None:
    assert missing(["signed_note"], [piece("signed_note", at=9)], 10) == ("signed_note",)
    assert missing(["signed_note"], [piece("signed_note", at=10)], 10) == ()


def test_a_file_that_calls_itself_a_result_proves_nothing() -> None:
    assert not counts(piece(EvidenceKind.IDENTITY_RESULT), 0)


def test_an_old_channel_is_confirmed_by_nothing_else() -> None:
    assert EvidenceKind.OLD_CHANNEL_CONFIRMATION not in SATISFIED_BY
    everything = [piece(kind, result=PASSED if kind == "identity_result" else None) for kind in EvidenceKind]
    rest = [each for each in everything if each.kind != EvidenceKind.OLD_CHANNEL_CONFIRMATION]
    assert missing([EvidenceKind.OLD_CHANNEL_CONFIRMATION], rest, 0) == ("old_channel_confirmation",)
