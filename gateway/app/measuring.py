"""From settings to what measures requests: risk, devices, and what withdrawals say of themselves."""

from pathlib import Path

from gateway.adapters.event_book import EventBook
from gateway.adapters.profiles import ProfileStore
from gateway.adapters.score_store import ScoreStore
from gateway.adapters.sql import AccountStore
from gateway.adapters.withdrawn import WithdrawnStore
from gateway.config import Settings
from gateway.core.device_key import DeviceCookie
from gateway.core.errors import ConfigError
from gateway.core.login import Digests
from gateway.core.signals import Lines
from gateway.core.terms import Operation
from gateway.core.withdrawal_request import WithdrawalRule
from gateway.ports import Geo, Profiles
from gateway.service.breaker import Breaker
from gateway.service.devices import Devices
from gateway.service.guarded import GuardedWithdrawals
from gateway.service.hold_line import HoldLine
from gateway.service.observing import Logins
from gateway.service.risk import Risk
from gateway.service.withdrawn import WithdrawnToday

_LARGEST_KEY = 4096


def digests_of(settings: Settings) -> Digests | None:
    """Return what digests personal values for profiles; None where nothing is measured. Raise ConfigError.

    Whoever takes events needs the same: other digests would be another history.
    """
    if settings.risk is None:
        return None
    return Digests(_key("risk.key_file", settings.risk.key_file))


def profiles_of(settings: Settings, store: AccountStore) -> ProfileStore | None:
    """Return the profiles of accounts; None where nothing is measured. Raise ConfigError."""
    digests = digests_of(settings)
    return None if digests is None else ProfileStore(store, digests)


def hold_line_of(settings: Settings, store: AccountStore) -> HoldLine | None:
    """Return what draws the lines of risk by a budget; None where they are fixed."""
    risk = settings.risk
    if risk is None or risk.budget is None:
        return None
    fixed = Lines(risk.ask_above, risk.hold_above)
    return HoldLine(ScoreStore(store), budget=risk.budget, fixed=fixed, clock=store.clock)


def risk_of(settings: Settings, profiles: Profiles | None, hold_line: HoldLine | None = None) -> Risk | None:
    """Return what measures requests against profiles; None where nothing does. Raise ConfigError."""
    digests, risk = digests_of(settings), settings.risk
    if risk is None or digests is None or profiles is None:
        return None
    lines = Lines(risk.ask_above, risk.hold_above)
    told = withdrawals_of(settings)
    paying = frozenset({Operation.WITHDRAW}) if told is None else told.operations
    return Risk(profiles=profiles, digests=digests, lines=lines, hold_line=hold_line, paying=paying)


def cookie_of(settings: Settings) -> DeviceCookie | None:
    """Return the cookie that the gateway knows devices by; None where there is none. Raise ConfigError."""
    device = settings.device
    if device is None or device.cookie is None or device.key_file is None:
        return None
    return DeviceCookie(device.cookie, (_key("device.key_file", device.key_file),))


def devices_of(settings: Settings) -> Devices | None:
    """Return how devices are recognised; None where none are. Raise ConfigError."""
    device = settings.device
    return None if device is None else Devices(cookie=cookie_of(settings), header=device.header)


def withdrawals_of(settings: Settings) -> WithdrawalRule | None:
    """Return what reads withdrawals; None where nothing does. Raise ConfigError for a place that is none."""
    told = settings.withdrawals
    if told is None:
        return None
    return WithdrawalRule(
        amount_usd=told.amount_usd,
        balance_share=told.balance_share,
        destination=told.destination,
        transfers=told.transfers,
    )


def withdrawn_today_of(
    settings: Settings, store: AccountStore, breaker: Breaker | None = None
) -> WithdrawnToday | None:
    """Return what adds up the last day's withdrawals, asked through the breaker if any; None where nothing does."""
    told = settings.withdrawals
    if told is None or told.withdrawn_today_usd is None:
        return None
    withdrawals = WithdrawnStore(store)
    return WithdrawnToday(withdrawals if breaker is None else GuardedWithdrawals(withdrawals, breaker))


def logins_of(settings: Settings, store: AccountStore, geo: Geo) -> Logins | None:
    """Return what observes logins; None where no route is named. Raise ConfigError."""
    login = settings.login
    if login is None:
        return None
    return Logins(
        EventBook(store, digests_of(settings), geo),
        path=login.path,
        methods=login.methods,
        account_header=login.account_header,
        session_header=login.session_header,
    )


def facts_measured(settings: Settings) -> frozenset[str]:
    """Return the facts that these settings supply besides the usual ones."""
    told = settings.withdrawals
    found = {
        "signals": settings.risk is not None,
        "risk": settings.risk is not None,
        "amount_usd": told is not None and told.amount_usd is not None,
        "withdrawn_today_usd": told is not None and told.withdrawn_today_usd is not None,
        "destination": settings.risk is not None and told is not None and told.destination is not None,
    }
    return frozenset(name for name, supplied in found.items() if supplied)


def _key(setting: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY).rstrip(b"\r\n")
    except OSError as fault:
        raise ConfigError(f"{setting}: {path}: {fault.strerror}") from fault
