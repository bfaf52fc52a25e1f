"""Where decisions go besides the archive: one table for each sink, and which keys each kind has."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.table import Table, Text
from gateway.config.values import Broker, Located, Milliseconds, Seconds, Size, Whole, meant, no_secrets

Kind = Literal["lines", "stdout", "opa", "clickhouse", "object-store", "kafka"]


class _Keys(NamedTuple):
    needed: frozenset[str]
    possible: frozenset[str] = frozenset()


_EACH: Final = frozenset({"kind", "name", "batch", "linger", "personal"})
_KEYS: Final[Mapping[str, _Keys]] = {
    "lines": _Keys(frozenset({"file"}), frozenset({"rotate_bytes", "keep_files"})),
    "stdout": _Keys(frozenset()),
    "opa": _Keys(frozenset({"url"}), frozenset({"labels", "token_file", "ca_file", "batch_bytes", "timeout"})),
    "clickhouse": _Keys(
        frozenset({"url"}),
        frozenset({"database", "table", "user", "password_file", "ca_file", "batch_bytes", "timeout"}),
    ),
    "object-store": _Keys(frozenset({"url"}), frozenset({"form", "options", "credentials_file", "timeout"})),
    "kafka": _Keys(
        frozenset({"servers", "topic"}),
        frozenset({"tls", "ca_file", "cert_file", "key_file", "sasl", "user", "password_file", "timeout"}),
    ),
}


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name):
        raise ValueError(f"`{name[:32]}` is not a name for a sink; write small letters, digits and `-`")
    return name


def _topic(topic: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic) or topic in {".", ".."}:
        raise ValueError(f"`{topic[:64]}` is not a topic; letters, digits, `.`, `_` and `-`, at most 249")
    return topic


class SinkTable(Table):
    """One sink. Which keys it has is decided by its kind."""

    kind: Kind
    given_name: Annotated[str, AfterValidator(_name)] | None = Field(default=None, alias="name")
    batch: Whole | None = Field(default=None, ge=1, le=20_000)
    linger_ms: Milliseconds | None = Field(default=None, alias="linger", ge=0, le=3_600_000)
    personal: Literal["clear", "digest"] | None = None
    batch_bytes: Size | None = Field(default=None, ge=64 * 1024, le=64 * 1024**2)
    timeout_s: Seconds | None = Field(default=None, alias="timeout", ge=1, le=110)
    """Less than what feeds a sink waits for a batch, so that it is the sink that says what was waited for."""
    file: Located | None = None
    rotate_bytes: Size | None = Field(default=None, ge=1024**2)
    keep_files: Whole | None = Field(default=None, ge=1, le=10_000)
    url: Text | None = None
    labels: Mapping[Text, Text] | None = None
    token_file: Located | None = None
    ca_file: Located | None = None
    database: Text | None = None
    table: Text | None = None
    user: Text | None = None
    password_file: Located | None = None
    form: Literal["ndjson", "parquet"] | None = None
    options: Annotated[Mapping[Text, Text], AfterValidator(no_secrets)] | None = None
    credentials_file: Located | None = None
    servers: Annotated[tuple[Broker, ...], Field(max_length=32)] | None = None
    topic: Annotated[str, AfterValidator(_topic)] | None = None
    tls: bool | None = None
    cert_file: Located | None = None
    key_file: Located | None = None
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None

    @property
    def name(self) -> str:
        """What it is called in logs, metrics and the file that says how far it was fed."""
        return self.given_name or self.kind

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Self:
        given = {type(self).model_fields[field].alias or field for field in self.model_fields_set}
        keys = _KEYS[self.kind]
        for key in sorted(given - keys.needed - keys.possible - _EACH):
            known = sorted(keys.needed | keys.possible | _EACH)
            raise ValueError(
                f"`{key}` means nothing to a sink of the kind `{self.kind}`{meant(key, known)}"
                f"{'' if meant(key, known) else '; it has ' + ', '.join(f'`{one}`' for one in known)}"
            )
        for key in sorted(keys.needed):
            if getattr(self, key) in {None, ()}:
                raise ValueError(f"a sink of the kind `{self.kind}` needs `{key}`")
        return self

    @model_validator(mode="after")
    def _kafka_shows_a_password_to_nobody_else(self) -> Self:
        if (self.cert_file is None) is not (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together: the certificate and its key")
        if self.kind != "kafka":
            return self
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("`user` and `password_file` belong together")
        if self.sasl is not None and self.user is None:
            raise ValueError(f'`sasl = "{self.sasl}"` needs `user` and `password_file`')
        if self.tls is False:
            for key in ("password_file", "ca_file", "cert_file"):
                if getattr(self, key) is not None:
                    raise ValueError(f"`{key}` is for connections with TLS, and `tls = false` says that there is none")
        return self


def distinct(sinks: tuple[SinkTable, ...]) -> tuple[SinkTable, ...]:
    """Return the sinks, where each has a name of its own, and none writes what another writes."""
    for name, times in Counter(one.name for one in sinks).items():
        if times > 1:
            raise ValueError(f"{times} are called `{name}`; give each a `name` of its own")
    for file, times in Counter(one.file for one in sinks if one.file is not None).items():
        if times > 1:
            raise ValueError(f"{times} write `{file}`; give each a file of its own")
    if sum(one.kind == "stdout" for one in sinks) > 1:
        raise ValueError("there is one standard output; keep one sink of the kind `stdout`")
    return sinks
