"""Erasing a customer's personal data from recorded decisions: noted first, done in the archive, told without gloss."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.account_book import entry_of
from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.memory import is_about
from gateway.adapters.follow import Follower
from gateway.adapters.segment_files import Taken
from gateway.adapters.sql import AccountStore, note
from gateway.app.parts import archive_to_ask
from gateway.app.terms import read_pseudonyms
from gateway.config import Settings
from gateway.core.account import Refused
from gateway.core.decision import Document
from gateway.core.errors import ConfigError
from gateway.core.pseudonyms import Pseudonyms
from gateway.ports import Erasing


class Erased(NamedTuple):
    """What came of it, and what is left."""

    decisions: int
    """How many were changed in the archive."""
    waiting: int
    """How many lie in the journal alone, and come into the archive as they are, unless it is given digests."""
    journal_keeps_s: int
    """How long the journal keeps a segment after the latest decision in it; nothing in it can be changed."""

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        return self._asdict()


async def erase(settings: Settings, store: AccountStore, erasing: Erasing, *, who: str, why: str) -> Erased | Refused:
    """Return what was erased of one account or one address. The audit has it first, with digests for names.

    Raise ConfigError where there is no archive or no key of digests, StoreUnavailable where archive or audit do not
    answer: then it is to be done again, and does what is left.
    """
    pseudonyms = read_pseudonyms(settings.archive.digest_key)
    archive = archive_to_ask(settings)
    if archive is None:
        raise ConfigError("archive.url: there is no archive in which anything could be erased")
    entry = entry_of(store.clock, "decisions.erase", "", who, why, **_named(erasing, pseudonyms))
    if isinstance(entry, Refused):
        return entry
    async with store.writing("note an erasing") as connection:
        await note(connection, entry)
    try:
        await archive.start()
        taken = await archive.taken()
        waiting = 0
        if settings.archive.personal == "clear":
            waiting = await asyncio.to_thread(_waiting, settings.journal.directory, taken, erasing)
        changed = await archive.erase(erasing, pseudonyms)
    finally:
        await archive.close()
    return Erased(changed, waiting, settings.archive.keep_journal_s)


def _named(erasing: Erasing, pseudonyms: Pseudonyms) -> dict[str, object]:
    """Return what was erased as the audit may keep it for good."""
    if erasing.account is not None:
        return {"account": pseudonyms.account(erasing.account)}
    return {"before": erasing.before} if erasing.address is None else {"address": pseudonyms.address(erasing.address)}


def _waiting(directory: Path, taken: Taken, erasing: Erasing) -> int:
    """Return how many decisions that this is about the archive has not taken yet."""
    number = 0
    for stretch in Follower(directory).stretches(taken):
        found_by = {digest: read_ruling(document).found_by for digest, document in stretch.rulings.items()}
        number += sum(is_about(erasing, found_by[one.ruling], one.at) for one in stretch.decisions)
    return number
