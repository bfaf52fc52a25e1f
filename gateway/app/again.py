"""A recorded request asked again: by the rules, the databases and the account of now. Nothing is recorded."""

from typing import NamedTuple

from gateway.adapters.clock import SystemClock
from gateway.adapters.sql import AccountStore
from gateway.app.parts import bundle_of, geo_of
from gateway.config import Settings
from gateway.core.addresses import Nat64, key_of, parse
from gateway.core.client_ip import ClientIP, How
from gateway.core.decision import Document
from gateway.core.errors import ReplayError
from gateway.core.facts import Facts
from gateway.policies.compare import Comparison, facts_then, now, refreshed
from gateway.policies.compile import Bundle
from gateway.ports import Identity, Presented
from gateway.service.gather import Gather


class _AsThen(NamedTuple):
    """Tokens that say of every credential what the record says of the one that came."""

    then: Facts
    generation: int = 0

    async def check(self, presented: Presented | None, at: int) -> Identity:  # noqa: ARG002 - as the port has it
        then = self.then
        return Identity(then.credential, then.token, then.account, then.assurance, auth_time=None, valid_until=None)


async def asked_again(settings: Settings, document: Document, bundle_then: Bundle | None) -> Comparison:
    """Return the recorded answer beside the one that the same request would have now.

    What is known now of its address and of its account is read anew; the credential counts as it did then. Raise
    ReplayError where there is nothing to compare, another GatewayError where the settings cannot work.
    """
    try:
        then, address = facts_then(document), document["client_ip"]["address"]
        how = How(document["client_ip"]["how"])
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        raise ReplayError(f"this decision has no facts to compare: {type(fault).__name__} at {fault}") from fault
    parsed = None if address is None else parse(address)
    key = None if parsed is None else key_of(parsed, Nat64(settings.client_ip.nat64_prefixes))
    at = SystemClock().now()
    store = AccountStore(settings.store.url)
    bundle = bundle_of(settings)
    gather = Gather(geo=geo_of(settings), tokens=_AsThen(then), accounts=store)
    await store.start()
    try:
        gathered = await gather(at, then.operation, ClientIP(address, how, geo_key=key), None, fresh=True)
    finally:
        await store.close()
    known = gathered.facts._asdict()
    facts = refreshed(then, at, known, known)
    same_bundle = bundle_then is not None and bundle_then.digest == bundle.digest
    return now(document, facts, bundle_then, bundle_then if same_bundle and bundle_then else bundle, gathered.editions)
