from gateway.core.risk_tables import ALWAYS_ANONYMOUS, ANONYMITY, BUCKETS, GROUPS, LEAST, MOST, UNFAMILIAR_DEVICE


def test_every_group_has_a_row_for_each_history_size() -> None:
    assert {len(group.customer) for group in GROUPS} == {BUCKETS}


def test_a_longer_history_explains_more_by_the_finest_that_can_be_told_apart() -> None:
    devices = next(group for group in GROUPS if group.name == "device").customer

    assert [row[-1] for row in devices] == sorted(row[-1] for row in devices)


def test_what_hides_or_is_new_is_never_a_reason_for_trust() -> None:
    assert min(*ANONYMITY.values(), *UNFAMILIAR_DEVICE.values()) > 0
    assert ANONYMITY.keys() >= ALWAYS_ANONYMOUS
    assert LEAST < 0 < MOST
