from benchmarks.changes import KINDS, WORST_MS, Seen, measure


def test_each_kind_of_change_is_seen_by_another_process(tmp_path) -> None:
    found = measure("sqlite", f"sqlite:///{tmp_path}/gateway.db", tmp_path, 1)
    assert [seen.kind for seen in found] == list(KINDS)
    assert all(time >= 0 for seen in found for time in seen.milliseconds)


def test_the_bar_is_a_median_and_a_worst() -> None:
    assert Seen("s", "k", (1.0, 2.0, WORST_MS)).fine
    assert not Seen("s", "k", (1.0, 2.0, WORST_MS + 1)).fine
    assert not Seen("s", "k", (1.0, 101.0, 102.0)).fine
