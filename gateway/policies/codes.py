"""The codes of findings: one sentence for each, for whoever filters them or reads them in a code scanner."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invalid": "Something else is wrong.",
        # A file that cannot be read
        "unreadable": "The file is not text in UTF-8, or not YAML as policies use it.",
        "too-large": "The file is longer, deeper or fuller than any policy is.",
        "duplicate-key": "A field is given twice.",
        "too-many": "More than a finding, list or exception may have.",
        "wrong-form": "A value does not have the form that its field takes.",
        "unknown-field": "No field has this name.",
        "missing-field": "A field that must be given is not, or is empty.",
        "field-unused": "A field would never have an effect here.",
        "bad-name": "A name that conditions or people could not say.",
        "bad-text": "A text that is too long, empty, or holds what nobody can see.",
        "bad-date": "No date, or a time without its offset from UTC.",
        "bad-duration": "No length of time, such as 72h.",
        "dates-swapped": "A rule ends before it begins.",
        "bad-effect": "A rule has no effect, or more than one.",
        "unknown-code": "No operation, level, reason, status or proof has this name.",
        # A condition that cannot mean what it says
        "bad-condition": "A condition that cannot be read.",
        "unknown-fact": "No fact and no list has this name.",
        "no-source": "Nothing in the configuration supplies the fact.",
        "comparison": "A comparison that cannot be made, or with a value that the fact never has.",
        "needs-justification": "`known` lets ignorance decide, and the rule does not say why that is safe.",
        "unknown-value": "A code or value that does not exist, or no longer.",
        "duplicate-name": "Two things of one name.",
        # Exceptions
        "exception-for-whom": "An exception does not say for whom it is, or says it twice.",
        "exception-too-wide": "An exception is for more accounts or operations than one may be.",
        "exception-too-long": "An exception lasts longer than one may.",
        "exception-lifts-grant": "An exception lifts a grant, which refuses nobody.",
        "exception-lifts-absolute": "An exception lifts a rule from which there are none.",
        "exception-lifts-nothing": "An exception lifts a rule that never excludes these operations.",
        "exception-expires": "An exception is about to end.",
        "exception-expired": "An exception has ended.",
        "same-person": "One person owns and approves.",
        # Tests
        "test-fails": "A test that the policy carries fails.",
        "rule-untested": "No test shows that the limit or requirement does what it should.",
        "unknown-rule": "No rule has this name.",
        "part-untested": "No test would miss this part of a rule.",
        "duplicate-test": "Two tests of one name.",
        # What is certain of the answers, without any traffic
        "rule-says-nothing": "A rule that leaves everything open, or guards nothing.",
        "rule-never-matches": "A condition that no facts make true.",
        "rule-never-determines": "A rule that never decides an answer.",
        "rule-shadowed": "A rule that changes no answer, since others say the same or more.",
        "operation-never-open": "An operation that nobody may ever perform.",
        "operation-closed-to-customers": "An operation that no ordinary customer may perform.",
        "nothing-granted": "The policies grant nothing by themselves.",
        # What somebody should look at
        "dates-passed": "A rule is out of force for good.",
        "policy-passed": "Every rule of a policy is out of force for good.",
        "list-unused": "No condition names the list.",
        "list-stale": "Nobody compared the list with its source for long.",
        "list-date-ahead": "The list is dated in the future.",
        "signal-unmeasured": "Nothing measures a signal of this name.",
        "flag-unset": "No rule sets a flag of this name, and one sets another that is nearly the same.",
        "to-fill-in": "A text still stands for one that nobody has written.",
    }
)
"""Each code and what it means. A code is never renamed, so that filters stay right."""
