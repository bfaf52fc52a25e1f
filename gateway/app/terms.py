"""On which terms a plan is shipped: what is kept how long, and what of it becomes digests."""

from pathlib import Path
from typing import Final

from gateway.adapters.segment import SUFFIX
from gateway.app.plan import Plan
from gateway.core.errors import ConfigError
from gateway.core.pseudonyms import Pseudonyms
from gateway.ports import MICROSECONDS, Keep
from gateway.service.shipping import Terms

_LARGEST_KEY: Final = 4096


def terms_of(plan: Plan, share: float = 1.0) -> Terms:
    """Return how shipping goes about a plan. Raise ConfigError where the key of digests cannot be read."""
    kept = {Keep.MONEY: plan.keep_money_s, Keep.REFUSED: plan.keep_refused_s, Keep.REST: plan.keep_rest_s}
    replaces = plan.personal == "digest" or plan.keep_personal_s is not None
    return Terms(
        keep_us={one: seconds * MICROSECONDS for one, seconds in kept.items() if seconds is not None},
        keep_personal_us=None if plan.keep_personal_s is None else plan.keep_personal_s * MICROSECONDS,
        pseudonyms=read_pseudonyms(plan.digest_key) if replaces else None,
        warn_behind_us=plan.warn_behind_s * MICROSECONDS,
        share=share,
    )


def read_pseudonyms(key: str | Path | None) -> Pseudonyms:
    """Return what makes digests with the key in this file. Raise ConfigError where there is none, or a short one."""
    if key is None:
        raise ConfigError(
            "archive.digest_key: name a file with 32 bytes or more; `openssl rand -hex 32 > FILE` makes 64"
        )
    try:
        with Path(key).open("rb") as file:
            return Pseudonyms.read(file.read(_LARGEST_KEY))
    except OSError as fault:
        raise ConfigError(f"archive.digest_key: {key}: {fault.strerror}") from fault


def workers_of(directory: Path) -> frozenset[str]:
    """Return the workers of which any segment is in the journal's folder."""
    return frozenset(path.stem.rpartition("-")[0] for path in directory.glob(f"*{SUFFIX}"))
