"""Whether a change that widens may be made: said in one place, for the command line, the API and publishing."""

from typing import Final

from gateway.policies.diff import Diff

LONGEST_REASON: Final = 2_000
_SHOWN: Final = 3


def refuse_widening(diff: Diff, *, allowed: bool, reason: str) -> str | None:
    """Return why a change is refused, in one line, or None where it is not: a widening is allowed, and says why.

    A difference that could not be searched to the end counts as a widening.
    """
    said = reason.strip()
    if allowed and not said:
        return "a widening that is allowed needs a reason: say why, in a sentence that somebody will read in a year"
    if len(said) > LONGEST_REASON:
        return f"the reason is longer than {LONGEST_REASON} characters"
    if allowed or not diff.widens:
        return None
    if not diff.widenings:
        return "the search for widenings was cut short, so there may be some: allow them, with a reason, or change less"
    many = len(diff.widenings)
    first = "; ".join(one.text() for one in diff.widenings[:_SHOWN])
    more = f"; and {many - _SHOWN} more" if many > _SHOWN else ""
    return f"the change widens access: {first}{more}. Allow it, with a reason, where that is meant"
