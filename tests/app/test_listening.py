"""From settings to the paths whose messages are decided."""

from pathlib import Path

import pytest

from gateway.app.listening import messages_of
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.said import Said
from gateway.core.terms import Operation

TABLE = '[[messages]]\npath = "{}"\nfield = "/op"\noperations = {{ "pay" = "transfer" }}\n'


def table_of(site, *paths: str, more: str = ""):
    config = Path(site.config)
    config.write_text(config.read_text() + "".join(map(TABLE.format, paths)) + more)
    return messages_of(load(config, {}))


def test_without_a_table_nothing_is_decided_of_messages(site) -> None:
    assert table_of(site) is None


def test_the_first_table_of_a_path_reads_its_messages(site) -> None:
    table = table_of(site, "/ws/trade", "/ws/{rest:path}")
    assert table.rule("/ws/trade").read('{"op": "pay"}', None) == (Said("pay", Operation.TRANSFER),)
    assert table.rule("/other") is None


def test_a_table_that_is_never_reached_is_said_at_the_start(site) -> None:
    with pytest.raises(ConfigError, match=r"messages\[1\].path: `/ws/trade` is never reached"):
        table_of(site, "/ws/{name}", "/ws/trade")


@pytest.mark.parametrize("transfers", [True, False])
def test_transfers_say_of_themselves_what_withdrawals_do_where_that_is_configured(site, transfers) -> None:
    table = table_of(
        site,
        more=f'[withdrawals]\namount_usd = "/usd"\ntransfers = {str(transfers).lower()}\n'
        + TABLE.format("/ws").replace("field", 'amount_usd = "/usd"\nfield'),
    )
    (said,) = table.rule("/ws").read('{"op": "pay", "usd": 5}', None)
    assert said.asked.amount_usd == (5 if transfers else None)
