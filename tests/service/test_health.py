"""What is needed and not well is named; what only narrows is not."""

from gateway.service.health import Check, failing


def test_only_what_is_needed_makes_a_gateway_unready() -> None:
    well = Check("started", ok=True, says="serving")
    narrowed = Check("store", ok=False, says="not heard from", needed=False)
    broken = Check("journal", ok=False, says="decisions cannot be recorded")
    assert failing(()) == failing((well, narrowed)) == ()
    assert failing((well, narrowed, broken)) == ("journal",)
