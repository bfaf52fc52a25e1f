"""Bundles that are looked at by themselves: one that grants nothing is part of another, which does."""

from collections.abc import Sequence
from typing import Final

from gateway.core.terms import EVERYTHING, Effect
from gateway.policies.compile import Bundle
from gateway.policies.expression import ALWAYS
from gateway.policies.findings import Place
from gateway.policies.rules import Policy, Rule

_NAME: Final = "everything-else"
_GRANT: Final = Rule(_NAME, "granted", Effect.GRANT, EVERYTHING, ALWAYS, "true")
_POLICY: Final = Policy(_NAME, "What other policies grant", "", None, (_GRANT,), (), Place("", 1, 1))


def whole(bundles: Sequence[Bundle]) -> tuple[Bundle, ...]:
    """Return the bundles; where none of them grants anything, each with a grant of everything besides."""
    if any(rule.effect is Effect.GRANT for bundle in bundles for rule in bundle.rules):
        return tuple(bundles)
    return tuple(Bundle([*one.policies, _POLICY], one.lists, one.sources, one.digest) for one in bundles)
