"""Where the log goes: to stderr, one JSON object a line, so that stdout holds answers and nothing else."""

import sys
from collections.abc import MutableMapping
from typing import Any, Final

from gateway.core.exports import ECS_VERSION

_ECS: Final = {"at": "@timestamp", "level": "log.level", "event": "event.action", "exception": "error.stack_trace"}
"""What the Elastic Common Schema has a name for. Everything else is the gateway's own, and named so."""


def to_stderr() -> None:
    """Send the structured log to stderr. Commands that may log call it first; it costs the others 0.4 s of imports."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _in_words_of_ecs,
            structlog.processors.JSONRenderer(),
        ],
        # Looked up for each event: stderr may be replaced.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _in_words_of_ecs(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return an event under the names of the schema, the ones that it wants first."""
    said = {ecs: event.pop(name) for name, ecs in _ECS.items() if name in event}
    own = {f"gateway.{name}": value for name, value in event.items()}
    return {**said, "ecs.version": ECS_VERSION, **own}
