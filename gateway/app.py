"""Wiring: the one place that knows everything."""

import asyncio
import os
from pathlib import Path
from typing import Any

import structlog

from gateway.adapters.clock import SystemClock
from gateway.adapters.geoip import GeoIP
from gateway.adapters.journal import FileJournal
from gateway.adapters.keys import KeySource, key_source
from gateway.adapters.policy_files import BundleArchive, read_sources
from gateway.adapters.sql import AccountStore
from gateway.adapters.tokens import TokenChecker
from gateway.config import Settings, load
from gateway.core.client_ip import ClientIPRule
from gateway.core.credential import CredentialRule
from gateway.core.errors import GatewayError
from gateway.core.headers import HeaderRule
from gateway.core.operations import OperationTable
from gateway.enforce.asgi import App, Message, Receive, Scope, Send
from gateway.enforce.middleware import Enforcer
from gateway.enforce.reverse_proxy import ReverseProxy
from gateway.policies.bundle import Bundle
from gateway.policies.bundle import load as load_bundle
from gateway.policies.schema import Sources
from gateway.ports import Accounts, Clock, Geo, Journal, Tokens
from gateway.service.gather import Gather
from gateway.service.pipeline import Line
from gateway.service.reading import RequestReader

log: Any = structlog.get_logger("gateway")


def reader_of(settings: Settings) -> RequestReader:
    """Return how requests are read under these settings. Raise ConfigError where they cannot work."""
    identity = settings.identity
    client = settings.client_ip
    client_ip = ClientIPRule(
        trusted_proxies=client.trusted_proxies,
        header=client.header,
        trusted_hops=client.trusted_hops,
        untrusted_peer=client.untrusted_peer,
        private_clients=client.private_clients,
        trust_unix_socket=client.trust_unix_socket,
        nat64_prefixes=client.nat64_prefixes,
    )
    api_key_header = None if identity is None else identity.api_key_header
    return RequestReader(
        headers=HeaderRule(
            client_header=client_ip.header_name,
            api_key_header=None if api_key_header is None else api_key_header.lower().encode(),
            max_bytes=settings.server.max_header_bytes,
        ),
        client_ip=client_ip,
        credentials=CredentialRule(cookie=None if identity is None else identity.cookie, api_key_header=api_key_header),
        operations=OperationTable([(route.operation, route.methods, route.path) for route in settings.operations]),
        allowed_hosts=settings.server.allowed_hosts,
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


def sources_of(settings: Settings) -> Sources:
    """Return which facts have a source under these settings; a rule about any other does not load."""
    geo = settings.geodb
    return Sources.configured(
        subdivision=bool(geo.subdivision),
        asn=bool(geo.asn),
        anonymizer=bool(geo.anonymizer),
        networks=tuple(geo.networks),
    )


def bundle_of(settings: Settings, paths: tuple[str, ...] | None = None) -> Bundle:
    """Return the bundle of the configured policies, or of `paths`. Raise PolicyError listing all that is wrong."""
    sources = read_sources(settings.policies.paths if paths is None else paths, settings.base)
    return load_bundle(sources, sources_configured=sources_of(settings))


class Gateway:
    """Everything that one process needs to decide, built from settings and started once."""

    def __init__(
        self,
        settings: Settings,
        *,
        geo: Geo | None = None,
        tokens: Tokens | None = None,
        accounts: Accounts | None = None,
        journal: Journal | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        """Build. Any part may be given in place of the configured one; it is then its giver's to start and close."""
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.geo = geo_of(settings) if geo is None else geo
        self.store = AccountStore(settings.store.url)
        self.accounts: Accounts = self.store if accounts is None else accounts
        self._keys: KeySource | None = None
        self.tokens = self._checker() if tokens is None else tokens
        self._journal = (
            FileJournal(
                settings.journal.directory,
                worker=f"{os.getpid()}",
                segment_bytes=settings.journal.segment_bytes,
                sync_every_ms=settings.journal.sync_every_ms,
            )
            if journal is None
            else None
        )
        self.archive = BundleArchive(settings.journal.directory / "bundles")
        bundle = bundle_of(settings) if bundle is None else bundle
        kept: Journal | None = journal or self._journal
        assert kept is not None
        self.line = Line(
            reader=reader_of(settings),
            gather=Gather(geo=self.geo, tokens=self.tokens, accounts=self.accounts),
            bundle=bundle,
            journal=kept,
            clock=self.clock,
        )
        self._own_policies = bundle is None
        self._refreshing: asyncio.Task[None] | None = None
        self._starting: asyncio.Lock = asyncio.Lock()
        self._started = False

    def _checker(self) -> TokenChecker:
        identity = self.settings.identity
        if identity is None:
            return TokenChecker.without_keys(key_owner=self.accounts.key_owner)
        self._keys = key_source(identity, clock=self.clock)
        return TokenChecker(
            keys=self._keys,
            algorithms=identity.algorithms,
            issuer=identity.issuer,
            audience=identity.audience,
            account_claim=identity.account_claim,
            leeway_s=identity.leeway_s,
            max_lifetime_s=identity.max_lifetime_s,
            remember_s=identity.remember_s,
            assurance=identity.assurance,
            key_owner=self.accounts.key_owner,
        )
