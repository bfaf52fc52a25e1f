"""The whole configuration, table by table. Every key, its default and what it means: `docs/configuration.md`.

Keys stand under the names that the file uses, except durations: the file says `leeway = "30s"`, the code reads
`leeway_s`. Nothing here opens a file; `reading.py` does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, model_validator

from gateway.config.desk import Evidence, IdentityResults, Issuer, Webhook, each_once, named_apart
from gateway.config.failing import Failure
from gateway.config.knowing import GeoDB, MaxAge, Policies, Store
from gateway.config.measuring import Device, Login, Risk, Withdrawals
from gateway.config.messages import Messages
from gateway.config.recording import Archive, Journal
from gateway.config.requests import ClientIP, Identity, Route
from gateway.config.serving import Admin, ForwardAuth, Server
from gateway.config.sinks import SinkTable, distinct
from gateway.config.table import Table
from gateway.config.upstreams import RoutedUpstream, Upstream
from gateway.config.upstreams import each_once as each_path_once
from gateway.config.watching import Log, Tracing

__all__ = ["MaxAge", "Settings", "Table"]

_OPTIONAL = ("policies", "geodb", "store", "journal", "archive", "server", "admin", "log")


class Settings(Table):
    """The whole configuration. `gateway.config.load` makes it from a file and the environment."""

    client_ip: ClientIP
    identity: Identity | None = None
    operations: tuple[Route, ...] = ()
    messages: Annotated[tuple[Messages, ...], Field(max_length=64)] = ()
    risk: Risk | None = None
    device: Device | None = None
    withdrawals: Withdrawals | None = None
    login: Login | None = None
    policies: Policies = Policies()
    geodb: GeoDB = GeoDB()
    store: Store = Store()
    journal: Journal = Journal()
    archive: Archive = Archive()
    sinks: Annotated[tuple[SinkTable, ...], AfterValidator(distinct), Field(max_length=16)] = ()
    webhooks: Annotated[tuple[Webhook, ...], AfterValidator(named_apart), Field(max_length=16)] = ()
    security_events: Annotated[tuple[Issuer, ...], AfterValidator(each_once), Field(max_length=16)] = ()
    evidence: Evidence | None = None
    identity_results: IdentityResults | None = None
    upstream: Upstream | None = None
    upstreams: Annotated[tuple[RoutedUpstream, ...], AfterValidator(each_path_once), Field(max_length=64)] = ()
    forward_auth: ForwardAuth | None = None
    server: Server = Server()
    admin: Admin = Admin()
    log: Log = Log()
    tracing: Tracing | None = None
    failure: Failure = Failure()
    _base: Path = PrivateAttr(default=Path())

    @model_validator(mode="before")
    @classmethod
    def _tables_left_out_are_empty(cls, data: object) -> object:
        """Return `data` with every optional table in it, so that default paths are resolved like given ones."""
        return {**{name: {} for name in _OPTIONAL}, **data} if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _digests_for_sinks_have_a_key(self) -> Self:
        for number, sink in enumerate(self.sinks):
            if sink.personal == "digest" and self.archive.digest_key is None:
                raise ValueError(f'`personal = "digest"` of sinks[{number}] needs `digest_key` in `[archive]`')
        return self

    @model_validator(mode="after")
    def _digests_of_what_is_told_have_a_key(self) -> Self:
        for name, table in (("log", self.log), ("tracing", self.tracing)):
            if table is not None and table.personal == "digest" and self.archive.digest_key is None:
                raise ValueError(f'`personal = "digest"` of `[{name}]` needs `digest_key` in `[archive]`')
        return self

    @model_validator(mode="after")
    def _requests_are_passed_on_or_asked_about(self) -> Self:
        if self.upstream is not None and self.forward_auth is not None:
            raise ValueError(
                "`[upstream]` passes requests on and `[forward_auth]` only answers about them: one gateway does one of "
                "the two, so leave one table out"
            )
        if self.messages and self.forward_auth is not None:
            raise ValueError(
                "`[[messages]]` are decided where they pass, and under `[forward_auth]` they pass the proxy alone: use "
                "`[upstream]` or the middleware for these streams, or leave `[[messages]]` out"
            )
        if self.upstreams and self.upstream is None:
            raise ValueError(
                "`[[upstreams]]` take the requests of their paths; say in `[upstream]` where the rest goes"
            )
        return self

    @model_validator(mode="after")
    def _messages_say_what_withdrawals_say(self) -> Self:
        told = self.withdrawals
        for number, one in enumerate(self.messages):
            for key in ("amount_usd", "balance_share", "destination"):
                if getattr(one, key) is not None and (told is None or getattr(told, key) is None):
                    raise ValueError(
                        f"`{key}` of messages[{number}] says where it stands in a message, and `[withdrawals]` says "
                        f"nowhere where it stands in a request: add `{key}` there"
                    )
        return self

    @property
    def archive_url(self) -> str | None:
        """Where decisions are archived; None where they stay in the journal."""
        if self.archive.url is None and self.store.url.startswith("postgresql://"):
            # Beside the accounts, in a schema of its own: so every machine finds every decision.
            return self.store.url
        if self.archive.url is None:
            return f"sqlite:///{Path(self.store.url.removeprefix('sqlite:///')).parent / 'decisions.db'}"
        return None if self.archive.url == "none" else self.archive.url

    @property
    def base(self) -> Path:
        """The folder that relative paths were resolved against."""
        return self._base

    @model_validator(mode="after")
    def _remember_the_folder(self, info: ValidationInfo) -> Self:
        if info.context:
            self._base = info.context["base"]
        return self
