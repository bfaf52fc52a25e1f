"""Whoever is behind is told what is certain, and nothing that could be a header of its own."""

from gateway.core.facts import Facts, Unknown
from gateway.core.onward import onward
from gateway.core.terms import Operation, WhyUnknown


def test_account_and_country_are_told_where_they_are_certain() -> None:
    facts = Facts(0, Operation.VIEW, account="a\r\nGateway-Access: full", country="PT")
    assert list(onward(facts)) == [
        (b"gateway-account", b"a%0D%0AGateway-Access:%20full"),
        (b"gateway-country", b"PT"),
    ]
    nothing = Unknown(WhyUnknown.NO_RECORD)
    assert list(onward(Facts(0, Operation.VIEW, account=None, country=nothing))) == []
    assert list(onward(None)) == []
