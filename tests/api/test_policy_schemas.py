"""Real answers about revisions are as they are described."""

from gateway.adapters.revision_reads import Run
from gateway.api.policy_documents import revision_document, run_document
from gateway.api.policy_schemas import POLICY_SCHEMAS
from gateway.desk.revision import Approval, Revision
from tests.api.test_openapi import faults

REVISION = Revision(7, "b" * 64, "a" * 64, "Eve", "close KP", True, "lifted", 0, 1, 2)
APPROVAL = Approval("Ada", 1, "fine", {"share": 0.1}, "it must")


def test_a_revision_is_as_it_is_described() -> None:
    whole = revision_document(REVISION._replace(approval=APPROVAL, activated_at=3, ended_at=4, replaced=6))
    log = [
        {"number": 1, "at": whole["proposed_at"], "who": "Eve", "act": "propose", "before": None, "after": "proposed",
         "version": 1, "why": "close KP"}
    ]  # fmt: skip
    for document in (revision_document(REVISION), whole, {**whole, "examined": {}, "log": log, "texts": {"a": "b"}}):
        assert faults(POLICY_SCHEMAS["Revision"], document) == []


def test_a_run_is_as_it_is_described() -> None:
    run = Run("w1", "host", "b" * 64, 0, 0, "a" * 64, "no source")
    document = {"active": "a" * 64, "runs": [run_document(run, "a" * 64, 1)]}
    assert faults(POLICY_SCHEMAS["Runs"], document) == []
