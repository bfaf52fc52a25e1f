"""What a gateway does besides deciding: it tells the exchange what the Outbox owes, and keeps the store in order."""

import random
import ssl
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.event_book import EventBook
from gateway.adapters.outbox_delivery import Delivery
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.sql import AccountStore
from gateway.adapters.tidying import Tidying
from gateway.adapters.webhook_target import WebhookTarget
from gateway.adapters.webhooks import SecretFile
from gateway.app.evidence import files_of
from gateway.app.measuring import digests_of
from gateway.config import Settings
from gateway.config.desk import Webhook
from gateway.core.errors import ConfigError

log: Any = structlog.get_logger("gateway")

_UNTOLD: Final = "no `[[webhooks]]` are configured: messages wait in the Outbox, and `gateway outbox list` shows them"


class Telling:
    """The delivery of messages and the tidying of the store, for as long as a gateway runs."""

    def __init__(self, settings: Settings, store: AccountStore, owner: str) -> None:
        """Build. `owner` names this process among all that share the store.

        Raise ConfigError where a webhook, or the place of evidence, cannot work.
        """
        self.delivery = delivery_of(settings, store, owner)
        self.tidying = Tidying(store, EventBook(store, digests_of(settings)), files_of(settings))

    async def start(self) -> None:
        """Begin, once the store has been started."""
        await self.tidying.start()
        if self.delivery is None:
            log.info("outbox:not_delivered", what=_UNTOLD)
        else:
            await self.delivery.start()

    async def close(self) -> None:
        """Return once nothing is under way any more. The store is still needed for it."""
        if self.delivery is not None:
            await self.delivery.close()
        await self.tidying.close()


def delivery_of(settings: Settings, store: AccountStore, owner: str) -> Delivery | None:
    """Return what delivers the Outbox; None where nobody is to be told. Raise ConfigError where it cannot work."""
    if not settings.webhooks:
        return None
    return Delivery(
        OutboxStore(store),
        [_target(one) for one in settings.webhooks],
        clock=store.clock,
        owner=owner,
        # So that retries of several gateways do not come at once; nobody gains by guessing it.
        chance=random.random,
    )


def _target(table: Webhook) -> WebhookTarget:
    try:
        return WebhookTarget(
            table.name,
            table.url,
            SecretFile(table.secret_file),
            types=table.types,
            allow_private=table.allow_private,
            tls=None if table.ca_file is None else _trust(table.ca_file),
        )
    except ConfigError as fault:
        raise ConfigError(f"[[webhooks]] {fault}") from None


def _trust(path: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or type(fault).__name__
        raise ConfigError(f"{path}: these are no certificate authorities in PEM: {why}") from None
