from gateway.adapters.revision_reads import Run
from gateway.api.policy_documents import SILENT_US, revision_document, run_document
from gateway.desk.revision import Approval, Revision

REVISION = Revision(7, "b" * 64, None, "Eve", "close KP", True, "lifted", 0, 1, 2)
RUN = Run("w1", "host", "b" * 64, 0, 0)


def test_a_revision_is_shown_with_its_instants_as_text_and_without_its_texts() -> None:
    shown = revision_document(REVISION)
    assert (shown["starts_at"], shown["approval"], shown["reason"]) == ("1970-01-01T00:00:00.000002Z", None, "lifted")
    approved = revision_document(REVISION._replace(approval=Approval("Ada", 1, "fine", {"share": 0.1}, "it must")))
    assert approved["approval"] == {
        "by": "Ada", "at": "1970-01-01T00:00:00.000001Z", "why": "fine", "simulation": {"share": 0.1},
        "accepted_flips": "it must",
    }  # fmt: skip
    assert "texts" not in approved


def test_a_process_is_current_behind_refusing_or_silent() -> None:
    assert run_document(RUN, RUN.digest, 1)["state"] == "current"
    assert run_document(RUN, None, 1)["state"] == "current"
    assert run_document(RUN, "a" * 64, 1)["state"] == "behind"
    assert run_document(RUN._replace(refused="a" * 64), "a" * 64, 1)["state"] == "refused"
    assert run_document(RUN, RUN.digest, SILENT_US + 1)["state"] == "silent"
