"""From settings to parts: each function builds one, and fails here rather than at the first request."""

import os
import platform
from hashlib import blake2b
from pathlib import Path
from typing import Any

import structlog

from gateway.adapters.geoip import GeoIP
from gateway.adapters.journal import FileJournal
from gateway.adapters.keys import FixedKeys, RefreshedKeys, key_source
from gateway.adapters.policy_files import BundleArchive, read_sources
from gateway.adapters.publishers import publishers_of
from gateway.adapters.signing import Signer
from gateway.adapters.tokens import KeyOwner, TokenChecker
from gateway.app.archives import archive_at
from gateway.app.measuring import devices_of, facts_measured, withdrawals_of
from gateway.app.plan import Plan
from gateway.app.shipping_process import Shipper, ShippingProcess, ShippingThread
from gateway.app.sinks import sink_of, spec_of
from gateway.config import Settings
from gateway.core.client_ip import ClientIPRule
from gateway.core.credential import CredentialRule
from gateway.core.errors import ConfigError, PolicyError, ReplayError
from gateway.core.headers import HeaderRule
from gateway.core.operations import OperationTable
from gateway.core.terms import Operation
from gateway.policies.bundle import Bundle, assemble, load
from gateway.policies.lock_out import Guarded, guarded
from gateway.policies.schema import Sources
from gateway.ports import Archive, Clock
from gateway.service.reading import RequestReader

log: Any = structlog.get_logger("gateway")

_EMBEDDED = "sqlite:///"


def client_ip_of(settings: Settings) -> ClientIPRule:
    """Return how the address held responsible is found. Raise ConfigError where these settings cannot work."""
    client = settings.client_ip
    return ClientIPRule(
        trusted_proxies=client.trusted_proxies,
        header=client.header,
        trusted_hops=client.trusted_hops,
        untrusted_peer=client.untrusted_peer,
        private_clients=client.private_clients,
        trust_unix_socket=client.trust_unix_socket,
        nat64_prefixes=client.nat64_prefixes,
    )


def reader_of(settings: Settings) -> RequestReader:
    """Return how requests are read under these settings. Raise ConfigError where they cannot work."""
    client_ip, identity = client_ip_of(settings), settings.identity
    api_key_header = None if identity is None else identity.api_key_header
    withdrawals = withdrawals_of(settings)
    return RequestReader(
        headers=HeaderRule(
            client_header=client_ip.header_name,
            api_key_header=None if api_key_header is None else api_key_header.lower().encode("ascii"),
            max_bytes=settings.server.max_header_bytes,
        ),
        client_ip=client_ip,
        credentials=CredentialRule(cookie=None if identity is None else identity.cookie, api_key_header=api_key_header),
        operations=OperationTable([(route.operation, route.methods, route.path) for route in settings.operations]),
        allowed_hosts=settings.server.allowed_hosts,
        devices=devices_of(settings),
        measured=settings.risk is not None,
        singles=frozenset() if withdrawals is None else withdrawals.headers,
    )


def geo_of(settings: Settings) -> GeoIP:
    """Return the editions that these settings name, opened. Raise EditionError where one cannot be used."""
    geo = settings.geodb
    return GeoIP(
        country=geo.country,
        subdivision=geo.subdivision,
        asn=geo.asn,
        anonymizer=geo.anonymizer,
        networks=geo.networks,
        combine=geo.combine,
        overrides=geo.overrides,
        max_age_warn_s=geo.max_age_warn_s,
        max_age_refuse_s=geo.max_age_refuse_s,
    )


def keys_of(settings: Settings, clock: Clock) -> RefreshedKeys | FixedKeys | None:
    """Return where the keys come from, None where no `[identity]` is configured. Raise ConfigError."""
    identity = settings.identity
    if identity is None:
        return None
    return key_source(
        algorithms=identity.algorithms,
        clock=clock,
        jwks=identity.jwks,
        secret=None if identity.secret is None else identity.secret.get_secret_value().encode(),
        secret_file=identity.secret_file,
    )


def tokens_of(settings: Settings, keys: RefreshedKeys | FixedKeys | None, key_owner: KeyOwner) -> TokenChecker:
    """Return what checks credentials. Raise ConfigError where the settings cannot work."""
    identity = settings.identity
    if identity is None or keys is None:
        return TokenChecker.without_keys(key_owner=None)
    return TokenChecker(
        keys=keys,
        algorithms=identity.algorithms,
        issuer=identity.issuer,
        audience=identity.audience,
        account_claim=identity.account_claim,
        leeway_s=identity.leeway_s,
        max_lifetime_s=identity.max_lifetime_s,
        remember_s=identity.remember_s,
        assurance=identity.assurance,
        key_owner=key_owner if identity.api_key_header else None,
    )


def journal_of(settings: Settings, at: int) -> FileJournal:
    """Return the journal of this process, under a name that no other process has or had.

    Raise JournalUnavailable where the signing key cannot be read, or seals cannot be published.
    """
    journal = settings.journal
    return FileJournal(
        journal.directory,
        worker=f"w{at // 1000:x}-{os.getpid()}-{_machine()}",
        segment_bytes=journal.segment_bytes,
        sync_every_ms=journal.sync_every_ms,
        signer=None if journal.signing_key is None else Signer.read(journal.signing_key),
        publisher=publishers_of(journal.publishing, journal.directory),
    )


def _machine() -> str:
    """Return a few digits of this machine's name: processes of containers that start at once have the same number."""
    return blake2b(platform.node().encode(), digest_size=3).hexdigest()


def plan_of(settings: Settings) -> Plan | None:
    """Return what shipping needs to know; None where decisions stay in the journal, and no candidate follows it.

    Raise ConfigError where a sink or the export cannot work.
    """
    url = settings.archive_url
    archive = settings.archive
    sinks = tuple({"personal": archive.personal, **spec_of(sink)} for sink in settings.sinks)
    shadow = None
    if settings.policies.shadow:
        supplied = sources_of(settings)
        named = {"facts": sorted(supplied.facts), "networks": sorted(supplied.networks)}
        shadow = {"paths": settings.policies.shadow, "base": str(settings.base), **named}
    if url is None and not sinks and shadow is None:
        return None
    # Nothing is opened: what cannot work is said here, at the start, and not by a process in the background.
    for sink in sinks:
        sink_of(sink)
    if url is not None and archive.export is not None:
        archive_at(url, export=archive.export)
    return Plan(
        directory=str(settings.journal.directory),
        url=url,
        keep_journal_s=archive.keep_journal_s,
        journal_at_most=archive.journal_at_most,
        warn_behind_s=archive.warn_behind_s,
        keep_money_s=archive.keep.money_s,
        keep_refused_s=archive.keep.refused_s,
        keep_rest_s=archive.keep.rest_s,
        keep_personal_s=archive.keep_personal_s,
        personal=archive.personal,
        digest_key=_text(archive.digest_key),
        export=_text(archive.export),
        compress=settings.journal.compress,
        signing_key=_text(settings.journal.signing_key),
        store=settings.store.url,
        sinks=sinks,
        shadow=shadow,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def shipper_of(settings: Settings) -> Shipper | None:
    """Return what ships for a gateway with these settings; None where it does not."""
    plan = plan_of(settings)
    if plan is None or settings.archive.ship == "off":
        return None
    return ShippingThread(plan) if settings.archive.ship == "thread" else ShippingProcess(plan)


def archive_of(settings: Settings) -> Archive | None:
    """Return the archive of decisions, not started; None where decisions stay in the journal."""
    return None if settings.archive_url is None else archive_at(settings.archive_url)


def archive_to_ask(settings: Settings) -> Archive | None:
    """Return the archive for somebody who only reads; None where there is none, or none yet.

    Who looks for a decision makes no file: it would belong to somebody whom the gateway may not be.
    """
    url = settings.archive_url or ""
    missing = url.startswith(_EMBEDDED) and not Path(url.removeprefix(_EMBEDDED)).exists()
    return None if missing else archive_of(settings)


def sources_of(settings: Settings) -> Sources:
    """Return which facts have a source under these settings; a rule about any other does not load."""
    geo = settings.geodb
    overrides = geo.overrides.values()
    return Sources.configured(
        subdivision=bool(geo.subdivision) or any(one.subdivision is not None for one in overrides),
        asn=bool(geo.asn) or any(one.asn is not None for one in overrides),
        anonymizer=bool(geo.anonymizer),
        networks=frozenset(geo.networks) | {name for one in overrides for name in one.network or ()},
        more=facts_measured(settings),
    )


def bundle_of(settings: Settings, paths: tuple[str, ...] = ()) -> Bundle:
    """Return the bundle of `paths`, or the configured one. Raise PolicyError listing all that is wrong.

    Where the store says what is in force, the configured one is what it said here last; nothing yet: the `paths` that
    it begins with.
    """
    known = None if paths else known_bundle(settings)
    if known is not None:
        return known
    sources = read_sources(paths or settings.policies.paths, settings.base)
    return load(sources, sources_configured=sources_of(settings))


def bundles_of(settings: Settings) -> BundleArchive:
    """Return where bundles are kept that were in force here."""
    return BundleArchive(settings.journal.directory / "bundles")


def known_bundle(settings: Settings) -> Bundle | None:
    """Return what the store said last is in force, as far as this machine has it whole; None where it has not."""
    if settings.policies.source != "store":
        return None
    archive = bundles_of(settings)
    digest = archive.pointed()
    try:
        texts = None if digest is None else archive.get(digest)
        return None if texts is None else assemble(texts, sources_configured=sources_of(settings))
    except (PolicyError, ReplayError) as fault:
        log.warning("policies:not_known", bundle=str(digest)[:12], why=str(fault))
        return None


def guarded_by(settings: Settings) -> tuple[Guarded, ...]:
    """Return whom these settings guard. Raise ConfigError where their facts cannot be."""
    found = []
    for number, one in enumerate(settings.policies.never_lock_out):
        try:
            found.append(guarded(one.name, one.facts, map(Operation, one.operations)))
        except ValueError as fault:
            raise ConfigError(f"policies.never_lock_out[{number}]: {fault}") from None
    return tuple(found)
