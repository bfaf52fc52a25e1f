"""Where the log goes: to stderr, one JSON object a line, so that stdout holds answers and nothing else."""

import sys


def to_stderr() -> None:
    """Send the structured log to stderr. Commands that may log call it first; it costs the others 0.4 s of imports."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        # Looked up for each event: stderr may be replaced.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
