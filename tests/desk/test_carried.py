from gateway.desk.carried import Carried, Outcome


def test_only_what_was_done_now_is_new() -> None:
    """Whoever ships the journal counts these, and dashboards keep the counts: they are never renamed."""
    assert [str(one) for one in Outcome] == ["done", "there", "settled", "waiting", "refused"]


def test_an_errand_that_was_about_no_ticket_has_none() -> None:
    carried = Carried("alice|us-exit|us-closed|flag|us-ip|", Outcome.WAITING)
    assert (carried.ticket, carried.why) == (None, "")
