"""Re-deciding a recorded Decision, from its own record and its bundle and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from gateway.core.decision import Document, parse_instant, verdict_document
from gateway.core.errors import GatewayError, ReplayError
from gateway.core.facts import from_json
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.service.memo import Memo


class Replayed(NamedTuple):
    """What came of deciding again."""

    decision_id: str
    kind: Literal["same", "different", "impossible"]
    why: str = ""
    """What differs, or what is missing."""

    def text(self) -> str:
        """Return one line for people."""
        return (
            f"{self.decision_id}: "
            + {"same": "same verdict", "different": "DIFFERENT verdict: "}.get(self.kind, "cannot be replayed: ")
            + self.why
        )

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        return {"id": self.decision_id, "replay": self.kind, "why": self.why}


class Replayer:
    """Re-decides documents. `sources_of` finds the texts of a bundle by its digest, None where they are not at hand."""

    def __init__(self, sources_of: Callable[[str], Mapping[str, str] | None]) -> None:
        self._sources_of = sources_of
        self._bundles: Memo[str, Bundle] = Memo(64)

    def bundle(self, digest: str) -> Bundle:
        """Return the bundle with this digest. Raise ReplayError where it is not at hand or is not what it says."""
        known = self._bundles.get(digest)
        if known is not None:
            return known
        sources = self._sources_of(digest)
        if sources is None:
            msg = f"its bundle {digest[:12]} is not in the archive"
            raise ReplayError(msg)
        bundle = load(sources, sources_configured=None)
        if bundle.digest != digest:
            msg = f"the archive holds {bundle.digest[:12]} under the name of its bundle {digest[:12]}"
            raise ReplayError(msg)
        return self._bundles.keep(digest, bundle)

    def replay(self, document: Document) -> Replayed:
        """Return whether the document's facts, under its bundle, give its verdict again."""
        decision_id = str(document.get("id"))
        try:
            recorded = document["verdict"]
            if recorded is None:
                return Replayed(decision_id, "same", " (refused unread: there is no verdict)")
            if not isinstance(recorded, Mapping):
                raise TypeError("the verdict is not an object")  # noqa: TRY301 - told like the others
            facts = from_json(parse_instant(document["at"]), document["facts"], document["unknown"])
            bundle = self.bundle(document["bundle"])
            again = verdict_document(evaluate(facts, bundle))
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            return Replayed(decision_id, "impossible", f"its record is damaged: {fault}")
        except GatewayError as fault:
            return Replayed(decision_id, "impossible", str(fault))
        if again != recorded and "account" in document.get("erased", ()) and "account" in bundle.facts_named:
            return Replayed(decision_id, "impossible", "its account was erased, and a rule of its bundle names one")
        if again == recorded:
            return Replayed(decision_id, "same")
        return Replayed(decision_id, "different", _difference(recorded, again))


def _difference(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*recorded, *again} if recorded.get(name) != again.get(name))
    return "; ".join(f"{name} was {recorded.get(name)!r}, is {again.get(name)!r}" for name in names)
