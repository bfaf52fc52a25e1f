"""From plain values to sinks: each is built here, or it is said why it cannot be."""

import platform
import ssl
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.adapters.sinks import Sink
from gateway.adapters.sinks.fan import PACE, Pace
from gateway.config.sinks import SinkTable
from gateway.core.errors import ConfigError

Spec = Mapping[str, Any]
"""The keys of one `[[sinks]]` table that were given; durations as numbers, paths as text."""

_LARGEST: Final = 64 * 1024
_OBJECTS: Final = Pace(batch=10_000, linger_s=300)
"""Each batch is an object, and few large ones are cheaper than many small ones."""


def spec_of(table: SinkTable) -> Spec:
    """Return the values of a table that another process needs."""
    given = table.model_dump(mode="json", exclude_none=True, exclude={"given_name"})
    return {**given, "name": table.name}


def pace_of(spec: Spec) -> Pace:
    """Return how much is sent at once, and how long is waited for more."""
    usual = _OBJECTS if spec["kind"] == "object-store" else PACE
    linger_s = usual.linger_s if "linger_ms" not in spec else spec["linger_ms"] / 1000
    return usual._replace(batch=spec.get("batch", usual.batch), linger_s=linger_s)


def sink_of(spec: Spec) -> Sink:
    """Return the sink that `spec_of` tells of, not connected. Raise ConfigError where it cannot work."""
    try:
        return _KINDS[spec["kind"]](spec)
    except ConfigError as fault:
        raise ConfigError(f"[[sinks]] `{spec['name']}`: {fault}") from None


def _lines(spec: Spec) -> Sink:
    from gateway.adapters.sinks.jsonl import LinesFile  # noqa: PLC0415 - each kind brings its own, nobody needs all

    options = _options(spec, rotate_bytes="rotate_bytes", keep_files="keep")
    return LinesFile(Path(spec["file"]), **options)


def _stdout(_spec: Spec) -> Sink:
    from gateway.adapters.sinks.jsonl import LinesOut  # noqa: PLC0415 - see above

    return LinesOut()


def _opa(spec: Spec) -> Sink:
    from gateway.adapters.sinks.opa import OpaLog  # noqa: PLC0415 - see above

    return OpaLog(
        spec["url"],
        labels={"id": platform.node(), **spec.get("labels", {})},
        token_file=_path(spec, "token_file"),
        tls=_trust(spec),
        **_options(spec, batch_bytes="most_bytes", timeout_s="timeout_s"),
    )


def _clickhouse(spec: Spec) -> Sink:
    from gateway.adapters.sinks.clickhouse import ClickHouse  # noqa: PLC0415 - see above

    return ClickHouse(
        spec["url"],
        password_file=_path(spec, "password_file"),
        tls=_trust(spec),
        **_options(
            spec, database="database", table="table", user="user", batch_bytes="most_bytes", timeout_s="timeout_s"
        ),
    )


def _object_store(spec: Spec) -> Sink:
    from gateway.adapters.sinks.object_store import ObjectStore  # noqa: PLC0415 - see above

    options = {**spec.get("options", {}), **credentials_in(_path(spec, "credentials_file"))}
    # The name stays the same when a container gets another host name, so that what comes again overwrites itself.
    return ObjectStore(
        spec["url"], worker=spec["name"], options=options, **_options(spec, form="form", timeout_s="timeout_s")
    )


def _kafka(spec: Spec) -> Sink:
    from gateway.adapters.sinks.kafka import SASL, Kafka, Login  # noqa: PLC0415 - see above

    login = None
    if "user" in spec:
        login = Login(spec["user"], Path(spec["password_file"]), spec.get("sasl", SASL[0]))
    return Kafka(
        spec["servers"],
        topic=spec["topic"],
        tls=_trust(spec) or ssl.create_default_context() if spec.get("tls", True) else None,
        login=login,
        **_options(spec, timeout_s="timeout_s"),
    )


_KINDS: Final[Mapping[str, Callable[[Spec], Sink]]] = {
    "lines": _lines,
    "stdout": _stdout,
    "opa": _opa,
    "clickhouse": _clickhouse,
    "object-store": _object_store,
    "kafka": _kafka,
}


def _options(spec: Spec, **names: str) -> dict[str, Any]:
    """Return what was given, under the names that the sink has for it; its own defaults stay for the rest."""
    return {theirs: spec[ours] for ours, theirs in names.items() if ours in spec}


def _path(spec: Spec, key: str) -> Path | None:
    return Path(spec[key]) if key in spec else None


def _trust(spec: Spec) -> ssl.SSLContext | None:
    """Return whom to trust and what to show, where that is not the usual. Raise ConfigError."""
    if not {"ca_file", "cert_file"} & spec.keys():
        return None
    try:
        context = ssl.create_default_context(cafile=spec.get("ca_file"))
        if "cert_file" in spec:
            # An encrypted key would be asked for on a terminal that nobody watches.
            context.load_cert_chain(spec["cert_file"], spec["key_file"], password=_no_password)
    except (OSError, ValueError) as fault:
        files = " and ".join(spec[key] for key in ("ca_file", "cert_file", "key_file") if key in spec)
        raise ConfigError(f"{files}: cannot be used for TLS: {_reason(fault)}") from None
    return context


def _no_password() -> str:
    raise ValueError("the key has a password, and nobody is there to say it")


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__


def credentials_in(path: Path | None) -> dict[str, str]:
    """Return the options in a file of secret ones. Raise ConfigError, without showing any."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            found = tomllib.loads(file.read(_LARGEST).decode())
    except OSError as fault:
        raise ConfigError(f"{path} cannot be read: {fault.strerror}") from None
    except ValueError:
        raise ConfigError(f'{path} is not TOML with one option a line, such as `aws_secret_access_key = "…"`') from None
    if not all(isinstance(value, str) for value in found.values()):
        raise ConfigError(f"{path}: every option is a text in quotes")
    return found
