import pytest

from gateway.adapters.score_store import ScoreStore
from gateway.adapters.sql import AccountStore
from gateway.app.gateway import Gateway
from gateway.app.measuring import (
    cookie_of,
    devices_of,
    digests_of,
    facts_measured,
    hold_line_of,
    logins_of,
    profiles_of,
    risk_of,
    withdrawals_of,
    withdrawn_today_of,
)
from gateway.app.parts import bundle_of, reader_of
from gateway.config import load
from gateway.core.anomaly import Score
from gateway.core.errors import ConfigError, PolicyError
from gateway.core.score_days import ScoreDays

ALL = """
[risk]
key_file = "key"
[device]
cookie = "__Host-gwd"
key_file = "key"
[withdrawals]
destination = "/to"
amount_usd = "header:X-Amount"
[login]
path = "/login"
account_header = "X-Login-Account"
"""


@pytest.fixture
def settings_of(site):
    (site.folder / "key").write_text("k" * 64 + "\n")
    before = site.config.read_text()

    def read(more: str):
        site.config.write_text(before + more)
        return load(site.config)

    return read


def test_nothing_is_built_that_nobody_asked_for(settings_of) -> None:
    settings = settings_of("")
    store = AccountStore(settings.store.url)
    built = (digests_of(settings), profiles_of(settings, store), cookie_of(settings), devices_of(settings))
    assert (*built, risk_of(settings, None), withdrawals_of(settings), logins_of(settings, store, None)) == (None,) * 7
    assert facts_measured(settings) == frozenset()


def test_all_of_it_is_built_and_supplies_its_facts(settings_of) -> None:
    settings = settings_of(ALL)
    store = AccountStore(settings.store.url)
    assert risk_of(settings, profiles_of(settings, store)) is not None
    assert cookie_of(settings).name == "__Host-gwd"
    assert devices_of(settings).header is None
    assert withdrawals_of(settings).headers == {b"x-amount"}
    assert logins_of(settings, store, None).watches("POST", "/login")
    assert facts_measured(settings) == {"signals", "risk", "amount_usd", "destination"}


def test_a_budget_draws_the_lines_that_fixed_ones_begin(settings_of) -> None:
    settings = settings_of(ALL)
    assert hold_line_of(settings, AccountStore(settings.store.url)) is None
    settings = settings_of(ALL.replace("[device]", "budget = 0.02\nhold_above = 4.2\n[device]"))
    hold_line = hold_line_of(settings, AccountStore(settings.store.url))
    assert (hold_line.lines, hold_line.drawn) == ((0.0, 4.2), False)


async def test_a_gateway_with_a_budget_starts_counts_and_keeps_its_counts(settings_of) -> None:
    settings = settings_of(ALL.replace("[device]", "budget = 0.02\n[device]"))
    gateway = Gateway(settings)
    await gateway.start()
    gateway._hold_line.count("alice", 1, Score(1.0, ()), gateway.clock.now(), held=False)
    await gateway.close()

    store = AccountStore(settings.store.url)
    await store.start()
    kept = await ScoreStore(store).add(ScoreDays())
    await store.close()
    assert [day.withdrawals for day in kept.days.values()] == [1]


def test_a_destination_is_known_or_new_only_where_there_are_profiles(settings_of) -> None:
    assert facts_measured(settings_of('[withdrawals]\ndestination = "/to"\n')) == frozenset()


def test_what_was_withdrawn_within_a_day_is_a_fact_where_events_tell_it(settings_of) -> None:
    settings = settings_of('[withdrawals]\nwithdrawn_today_usd = "events"\n')
    assert facts_measured(settings) == {"withdrawn_today_usd"}
    store = AccountStore(settings.store.url)
    assert withdrawn_today_of(settings, store) is not None
    assert withdrawn_today_of(settings_of(ALL), store) is None


def test_transfers_are_read_as_withdrawals_where_that_is_said(settings_of) -> None:
    said = withdrawals_of(settings_of('[withdrawals]\ndestination = "/to"\ntransfers = true\n'))
    assert said.operations == {"withdraw", "transfer"}
    assert withdrawals_of(settings_of('[withdrawals]\ndestination = "/to"\n')).operations == {"withdraw"}


def test_a_newline_at_the_end_of_a_key_is_no_part_of_it(settings_of, site) -> None:
    settings = settings_of(ALL)
    one = digests_of(settings).of(b"device", b"phone")
    (site.folder / "key").write_text("k" * 64)
    assert digests_of(settings).of(b"device", b"phone") == one


def test_a_key_that_went_away_since_is_named(settings_of, site) -> None:
    settings = settings_of(ALL)
    (site.folder / "key").unlink()
    with pytest.raises(ConfigError, match=r"risk\.key_file: .*No such file"):
        digests_of(settings)


def test_a_rule_on_what_nothing_measures_does_not_load_and_says_what_to_add(settings_of) -> None:
    with pytest.raises(PolicyError, match=r"add a table `\[risk\]`"):
        bundle_of(settings_of(""), ("library:account-status", "library:unfamiliar-login"))
    assert bundle_of(settings_of(ALL), ("library:account-status", "library:unfamiliar-login")).digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[device]\ncookie = "gwd"\nkey_file = "key"\n', "must begin with `__Host-`"),
        ('[device]\nheader = "Gateway-Device"\n', "bears the gateway's own name"),
        ('[device]\nheader = "X-Forwarded-For"\n', "has a meaning already"),
        ('[withdrawals]\ndestination = "to"\n', "withdrawals.destination"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(settings_of, text, said) -> None:
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")):
        reader_of(settings_of(text))
