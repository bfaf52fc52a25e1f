import pytest

from gateway.core.keeping import Keep, keep_of


@pytest.mark.parametrize(
    ("operation", "outcome", "keep"),
    [
        ("withdraw", "allow", Keep.MONEY),
        ("withdraw", "deny", Keep.MONEY),
        ("transfer", "challenge", Keep.MONEY),
        ("view", "deny", Keep.REFUSED),
        ("login", "challenge", Keep.REFUSED),
        ("ambiguous", "deny", Keep.REFUSED),
        ("", "", Keep.REFUSED),
        ("deposit", "allow", Keep.REST),
    ],
)
def test_a_decision_belongs_to_the_first_class_that_applies(operation: str, outcome: str, keep: Keep) -> None:
    assert keep_of(operation, outcome) is keep
