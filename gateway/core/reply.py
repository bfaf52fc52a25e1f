"""Reply: what the visitor sees. It never says more than it should."""

from typing import NamedTuple

from gateway.core.terms import Access, Operation, Reason
from gateway.core.verdict import Challenge


class Reply(NamedTuple):
    """The answer to the visitor, before it is rendered for one decision."""

    status: int
    """200 stands for "let through": the upstream gives the real status."""
    reason: Reason | None
    title: str
    detail: str
    operation: Operation | None
    """None where the request could not be read."""
    access: Access
    allowed_operations: tuple[Operation, ...]
    challenge: Challenge | None = None
    retry_after_s: int | None = None
