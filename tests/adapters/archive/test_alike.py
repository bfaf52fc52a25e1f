from gateway.adapters.archive.alike import HeldMoment
from gateway.core.alike import Each
from gateway.core.pseudonyms import Pseudonyms
from gateway.service.digested import digested
from tests.recorded import AT, bundle, facts, recorded


async def alike(moment, since=0, until=1 << 60):
    return [one async for some in moment.alike(since, until) for one in some]


async def test_decisions_are_grouped_by_their_rulings() -> None:
    stretch = recorded([facts(), facts(at=AT + 5), facts(account="bob", asn=None)], bundle())
    moment = HeldMoment.of(stretch)
    first, second = await alike(moment)
    assert (first.account, first.decisions, first.earliest, first.latest) == ("alice", 2, AT, AT + 5)
    assert (second.account, second.decisions, second.asn) == ("bob", 1, None)
    assert first.asn == (64500).to_bytes(4, "big")
    assert first.address == bytes(10) + b"\xff\xff" + bytes((81, 20, 30, 40))
    assert await moment.each([first.ruling], AT + 1, AT + 6) == [
        Each(first.ruling, stretch.decisions[1].id, AT + 5, 10)
    ]
    assert (await moment.documents([second.ruling]))[second.ruling] in stretch.rulings.values()


async def test_what_was_made_at_another_time_is_not_told_of() -> None:
    moment = HeldMoment.of(recorded([facts()], bundle()))
    assert await alike(moment, AT + 1) == await alike(moment, 0, AT) == []
    assert len(await alike(moment, AT, AT + 1)) == 1


async def test_a_digest_is_no_address() -> None:
    stretch = digested(recorded([facts()], bundle()), Pseudonyms(b"a key of thirty-two bytes, or so."))
    (one,) = await alike(HeldMoment.of(stretch))
    assert one.address is None
    assert one.account.startswith("hmac:")
