"""Profiles of many accounts in bounded memory: those in use as they are, all others as bytes."""

from collections import OrderedDict
from typing import Final, NamedTuple

from gateway.core.profile import Profile
from gateway.service.simple_rules import SimpleRules

IN_USE: Final = 20_000


class Standing(NamedTuple):
    """What is remembered of one account."""

    profile: Profile
    rules: SimpleRules


class Shelf:
    """Every account's standing. The least recently used ones lie packed, at some 3 kB an account."""

    def __init__(self, in_use: int = IN_USE) -> None:
        """Build for as many in use as `in_use`."""
        self._most = in_use
        self._used: OrderedDict[str, Standing] = OrderedDict()
        self._packed: dict[str, tuple[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._used) + len(self._packed)

    def take(self, account: str) -> Standing:
        """Return an account's standing, a new one where there is none. It is used until the next call."""
        standing = self._used.get(account)
        if standing is not None:
            self._used.move_to_end(account)
            return standing
        packed = self._packed.pop(account, None)
        if packed is None:
            standing = Standing(Profile(), SimpleRules())
        else:
            standing = Standing(Profile.from_bytes(packed[0]), SimpleRules.from_bytes(packed[1]))
        self._used[account] = standing
        if len(self._used) > self._most:
            oldest, put_away = self._used.popitem(last=False)
            self._packed[oldest] = (put_away.profile.to_bytes(), put_away.rules.to_bytes())
        return standing

    def sizes(self) -> list[int]:
        """Return how many bytes each account's profile takes when it is packed."""
        return [len(one.profile.to_bytes()) for one in self._used.values()] + [
            len(profile) for profile, _ in self._packed.values()
        ]
