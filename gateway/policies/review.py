"""All that somebody should look at in a bundle that loads."""

from gateway.policies import excepting, standing
from gateway.policies.compile import Bundle
from gateway.policies.findings import Finding
from gateway.policies.notices import notices


def review(bundle: Bundle, at: int) -> list[Finding]:
    """Return warnings and notes about a bundle at an instant (microseconds since the epoch), sorted by place."""
    found = {*notices(bundle.policies, bundle.lists, at), *excepting.notices(bundle.exceptions, at)}
    return sorted(found.union(standing.notices(bundle, at)))
