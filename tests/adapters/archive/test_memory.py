from ipaddress import ip_network
from typing import Any

import pytest

from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.memory import MemoryArchive, fits
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Search
from gateway.ports import Archive
from tests.contract.stretches import decision, ruling, stretch, text_of


@pytest.mark.parametrize(
    ("fitting", "other"),
    [
        ({"account": "alice"}, {"account": "ALICE"}),
        ({"address": ip_network("81.20.0.0/16")}, {"address": ip_network("81.21.0.0/16")}),
        ({"address": ip_network("::ffff:81.20.30.40/128")}, {"address": ip_network("::/96")}),
        ({"country": "PT"}, {"country": "US"}),
        ({"asn": 64500}, {"asn": 64501}),
        ({"operation": "withdraw"}, {"operation": "ambiguous"}),
        ({"outcome": "deny"}, {"outcome": "allow"}),
        ({"reason": "jurisdiction-blocked"}, {"reason": "ambiguous-request"}),
        ({"rule": "us-exit/us-closed"}, {"rule": "us-exit/us"}),
        ({"bundle": "ab12cd"}, {"bundle": "ab12ce"}),
    ],
)
def test_each_condition_fits_what_it_names_alone(fitting: dict[str, Any], other: dict[str, Any]) -> None:
    found_by = read_ruling(ruling()).found_by
    assert fits(found_by, Search())
    assert fits(found_by, Search(**fitting))
    assert not fits(found_by, Search(**other))
    assert not fits(found_by, Search(**{"operation": "withdraw", "outcome": "deny", **other}))


async def test_what_was_taken_is_found_after_closing_too() -> None:
    archive = MemoryArchive()
    port: Archive = archive
    await port.start()
    document = ruling()
    one = decision(1, document)
    assert await port.take(stretch([one], [document])) == 1
    await port.close()
    found = await port.find(text_of(one.id))
    assert found is not None
    assert found["operation"] == "withdraw"


async def test_a_decision_without_its_ruling_is_refused_with_the_whole_stretch() -> None:
    archive = MemoryArchive()
    document = ruling()
    with pytest.raises(StoreUnavailable, match="segment 1, 0 to 1000"):
        await archive.take(stretch([decision(1, document), decision(2, b"{}")], [document]))
    assert await archive.find(text_of(decision(1, document).id)) is None
    assert await archive.taken() == {}
