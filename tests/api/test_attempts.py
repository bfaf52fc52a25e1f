from gateway.api.attempts import AT_ONCE, EVERY_US, Attempts

AT = 1_000_000_000


def failing(address: str | None, times: int, at: int = AT, most: int = 100) -> Attempts:
    attempts = Attempts(most)
    for _ in range(times):
        attempts.failed(address, at)
    return attempts


def test_nobody_waits_before_the_tenth_failure() -> None:
    assert failing("192.0.2.1", AT_ONCE - 1).wait("192.0.2.1", AT) == 0
    assert failing("192.0.2.1", AT_ONCE).wait("192.0.2.1", AT) == 6


def test_one_more_attempt_is_given_in_six_seconds() -> None:
    attempts = failing("192.0.2.1", AT_ONCE)
    assert attempts.wait("192.0.2.1", AT + EVERY_US - 1) == 1
    assert attempts.wait("192.0.2.1", AT + EVERY_US) == 0
    attempts.failed("192.0.2.1", AT + EVERY_US)
    assert attempts.wait("192.0.2.1", AT + EVERY_US) == 6


def test_failures_do_not_pile_up_beyond_what_is_forgiven_in_a_minute() -> None:
    assert failing("192.0.2.1", 1000).wait("192.0.2.1", AT) <= 12


def test_one_address_does_not_lock_out_another() -> None:
    assert failing("192.0.2.1", 50).wait("192.0.2.2", AT) == 0


def test_a_network_of_one_customer_is_one_address() -> None:
    attempts = failing("2001:db8::1", AT_ONCE)
    assert attempts.wait("2001:db8::ffff", AT) > 0
    assert attempts.wait("2001:db8:0:1::1", AT) == 0
    assert failing("::ffff:192.0.2.1", AT_ONCE).wait("192.0.2.1", AT) > 0


def test_what_is_no_address_is_one_address() -> None:
    assert failing(None, AT_ONCE).wait("nonsense", AT) > 0


def test_the_addresses_that_are_kept_are_bounded() -> None:
    attempts = failing("192.0.2.1", AT_ONCE, most=2)
    attempts.failed("192.0.2.2", AT)
    assert attempts.wait("192.0.2.1", AT) > 0
    attempts.failed("192.0.2.3", AT)
    assert attempts.wait("192.0.2.1", AT) == 0


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    assert failing("192.0.2.1", AT_ONCE).wait("192.0.2.1", AT - 10**12) <= 6
