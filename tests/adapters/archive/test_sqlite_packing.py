import sqlite3
import zlib

import pytest

from gateway.adapters.archive.sqlite_packing import NONE, Packer, pack_asns, unpack, unpack_asns
from tests.contract.stretches import ruling

DOCUMENTS = [ruling(account=f"c{n:05d}", asn=n, address=f"81.20.30.{n}") for n in range(40)]


def bytes_of(database: sqlite3.Connection, number: int) -> bytes | None:
    row = database.execute("SELECT bytes FROM dictionaries WHERE id = ?", (number,)).fetchone()
    return None if row is None else row[0]


def test_a_ruling_comes_back_as_it_was_with_a_dictionary_and_without(database: sqlite3.Connection) -> None:
    packer = Packer()
    number, alone = packer.pack("b", DOCUMENTS[0])
    assert number == NONE
    assert unpack(None, alone, 1 << 20) == DOCUMENTS[0]
    packer.prepare(database, "b", DOCUMENTS)
    number, packed = packer.pack("b", DOCUMENTS[33])
    assert unpack(bytes_of(database, number), packed, 1 << 20) == DOCUMENTS[33]
    assert len(packed) < len(alone) / 3


def test_a_bundle_has_one_dictionary_and_another_process_finds_it(database: sqlite3.Connection) -> None:
    first, second = Packer(), Packer()
    first.prepare(database, "b", DOCUMENTS)
    second.prepare(database, "b", DOCUMENTS[:1])
    first.prepare(database, "c", DOCUMENTS)
    assert second.pack("b", DOCUMENTS[1]) == first.pack("b", DOCUMENTS[1])
    assert first.pack("c", DOCUMENTS[1])[0] != first.pack("b", DOCUMENTS[1])[0]
    assert database.execute("SELECT count(*) FROM dictionaries").fetchone() == (2,)


def test_a_few_rulings_make_no_dictionary(database: sqlite3.Connection) -> None:
    packer = Packer()
    packer.prepare(database, "b", DOCUMENTS[:3])
    assert packer.pack("b", DOCUMENTS[0])[0] == NONE
    assert database.execute("SELECT count(*) FROM dictionaries").fetchone() == (0,)


def test_what_was_looked_up_is_forgotten_on_demand(database: sqlite3.Connection) -> None:
    packer = Packer()
    database.execute("BEGIN")
    packer.prepare(database, "b", DOCUMENTS)
    database.execute("ROLLBACK")
    packer.clear()
    assert packer.pack("b", DOCUMENTS[0])[0] == NONE


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_damaged_ruling_is_a_fault(length: int) -> None:
    _, packed = Packer().pack("b", DOCUMENTS[0])
    with pytest.raises(zlib.error):
        unpack(None, packed[:length], 1 << 20)
    with pytest.raises(zlib.error):
        unpack(None, packed, 100)


def test_the_numbers_of_networks_come_back() -> None:
    for asns in [(), (64500,), (1, (1 << 32) - 1)]:
        assert unpack_asns(pack_asns(asns)) == asns
