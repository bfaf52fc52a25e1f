from gateway.core.facts import Facts
from gateway.policies.schema import FACTS, NETWORKS, Kind, Sources


def test_every_fact_has_its_schema_in_the_order_of_the_facts():
    assert set(FACTS) == set(Facts._fields[1:])
    ours = [name for name in FACTS if name != "operation"]
    assert ours == sorted(ours, key=Facts._fields.index)


def test_sets_are_the_facts_whose_default_or_kind_says_so():
    sets = {name for name, fact in FACTS.items() if fact.is_set}
    assert sets == {"network", "flags", "documents", "holds", "signals"}


def test_measured_facts_are_open_numbers():
    for fact in FACTS.values():
        if fact.measured:
            assert fact.is_number
            assert fact.domain is None


def test_values_that_are_compared_with_one_another_are_of_one_kind():
    countries = {name for name, fact in FACTS.items() if fact.kind is Kind.COUNTRY}
    assert countries == {"country", "documents", "residence", "nationality"}


def test_sources_are_what_the_configuration_supplies():
    nothing = Sources.configured(subdivision=False, asn=False, anonymizer=False, networks=())
    assert {"subdivision", "asn", "network", "risk", "signals", "amount_usd"}.isdisjoint(nothing.facts)
    assert {"country", "continent", "status", "token", "documents"} <= nothing.facts
    assert nothing.networks == frozenset()


def test_each_source_supplies_its_fact():
    some = Sources.configured(subdivision=True, asn=True, anonymizer=True, networks=("office",), more=("risk",))
    assert {"subdivision", "asn", "network", "risk"} <= some.facts
    assert some.networks == {"office", *NETWORKS}


def test_a_network_list_alone_supplies_its_own_name_only():
    lists = Sources.configured(subdivision=False, asn=False, anonymizer=False, networks=("office",))
    assert "network" in lists.facts
    assert lists.networks == {"office"}
