"""From settings to what decides the messages of streams."""

from gateway.config import Settings
from gateway.core.said import MessageTable


def messages_of(settings: Settings) -> MessageTable | None:
    """Return on which paths messages are decided, and how they are read; None where on none. Raise ConfigError."""
    if not settings.messages:
        return None
    transfers = None if settings.withdrawals is None else settings.withdrawals.transfers
    return MessageTable([(one.path, one.rule(transfers=transfers)) for one in settings.messages])
