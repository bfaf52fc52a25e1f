"""What a request is measured against: the tables about risk, devices and what a withdrawal says of itself."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.requests import method
from gateway.config.table import Table, Text
from gateway.config.values import CookieName, HeaderName, Located


class Risk(Table):
    """How unusual a request may be for its account."""

    key_file: Located
    hold_above: float = Field(default=3.6, ge=-50, le=50, allow_inf_nan=False)
    ask_above: float = Field(default=0.0, ge=-50, le=50, allow_inf_nan=False)
    budget: float | None = Field(default=None, gt=0, le=0.25, allow_inf_nan=False)

    @model_validator(mode="after")
    def _asking_comes_before_holding(self) -> Self:
        if self.ask_above > self.hold_above:
            raise ValueError(
                f"`ask_above` is {self.ask_above:g} and `hold_above` {self.hold_above:g}: what is held would never be "
                "asked for proof; the first is the lower one"
            )
        return self


class Device(Table):
    """How a browser or an app is known again."""

    cookie: CookieName | None = None
    key_file: Located | None = None
    header: HeaderName | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.cookie is None) is (self.header is None):
            found = "neither" if self.cookie is None else "both"
            raise ValueError(f"a device is known by a `cookie` or by a `header`; {found} is given")
        if self.cookie is not None and self.key_file is None:
            raise ValueError("`cookie` needs `key_file`, which signs it; `openssl rand -hex 32 > FILE` makes one")
        if self.header is not None and self.key_file is not None:
            raise ValueError("`key_file` signs cookies; a `header` is what the app says, and takes none")
        if self.header is not None and self.header.lower() in {"authorization", "cookie", "host", "user-agent"}:
            raise ValueError(f"`{self.header}` already has a meaning; choose a name of its own, such as `X-Device-Key`")
        return self


class Withdrawals(Table):
    """Where a withdrawal says what it takes and where to: `/a/place/in/its/JSON` or `header:A-Name`."""

    amount_usd: Text | None = None
    balance_share: Text | None = None
    destination: Text | None = None
    transfers: bool = False
    withdrawn_today_usd: Literal["events"] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        places = (self.amount_usd, self.balance_share, self.destination)
        if self.transfers and places == (None, None, None):
            raise ValueError("`transfers` are read in the same places as withdrawals, and none is named")
        if (*places, self.withdrawn_today_usd) == (None, None, None, None):
            raise ValueError('says where nothing stands: name a place, such as `destination = "/address"`')
        return self


class Login(Table):
    """Where the app signs customers in, and how its answer says whom."""

    path: Text
    account_header: HeaderName
    session_header: HeaderName | None = None
    methods: tuple[Annotated[str, AfterValidator(method)], ...] = ("POST",)

    @model_validator(mode="after")
    def _a_path_and_two_headers(self) -> Self:
        if not self.path.startswith("/"):
            raise ValueError(f"`path` is `{self.path[:64]}`, which does not begin with `/`")
        taken = {"set-cookie", "content-type", "content-length"}
        names = [name.lower() for name in (self.account_header, self.session_header) if name is not None]
        if taken & set(names) or len(set(names)) < len(names):
            raise ValueError(
                "`account_header` and `session_header` are headers of their own, such as `X-Login-Account`"
            )
        return self
