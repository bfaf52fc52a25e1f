"""Where a database of PostgreSQL is, and how it is connected to."""

from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg  # type: ignore[import-untyped]  # asyncpg brings no types

from gateway.core.errors import ConfigError

CONNECT_WITHIN_S: Final = 5.0
FAULTS: Final[tuple[type[Exception], ...]] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""What asyncpg raises where the server does not do its part."""
PASSWORD_FILE: Final = "password_file"  # noqa: S105 - the name of a key
"""The one word of a URL's query that is ours: the rest is asyncpg's."""

Connection = Any
"""An asyncpg connection; asyncpg's own types do not say so in one word."""


class PostgresAddress(NamedTuple):
    """A database as its URL names it: what asyncpg takes, the file with the password, and what people may see."""

    dsn: str
    password_file: Path | None
    name: str
    """Host and database: never the user's part of the URL, never its query."""

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the address of `postgresql://USER@HOST/DATABASE?…`. Raise ConfigError, which repeats none of it."""
        parts = urlsplit(url)
        if parts.scheme != "postgresql" or not (parts.netloc or parts.query):
            raise ConfigError("store url: write postgresql://USER@HOST/DATABASE")
        if parts.fragment or "@" in parts.path + parts.query:
            # Split at the wrong place, a part of the password would be taken for the host, and shown as such.
            raise ConfigError(
                "store url: the user's part holds a character that ends it; write `/` as %2F, `?` as %3F, `#` as %23, "
                "`@` as %40, or put the password into a file"
            )
        query = parse_qsl(parts.query, keep_blank_values=True)
        files = [Path(value) for key, value in query if key == PASSWORD_FILE]
        rest = urlencode([(key, value) for key, value in query if key != PASSWORD_FILE])
        host = parts.netloc.rpartition("@")[2] or dict(query).get("host", "")
        dsn = url.partition("?")[0]
        return cls(f"{dsn}?{rest}" if rest else dsn, files[-1] if files else None, f"{host}{parts.path}")

    async def connect(self, **settings: str) -> Connection:
        """Return a new connection to the primary, with these settings of the server. Raise one of FAULTS."""
        try:
            return await asyncpg.connect(
                self.dsn,
                # Read at each connection, so that a password that was changed is taken.
                password=self.password,
                timeout=CONNECT_WITHIN_S,
                # A standby tells of changes late, and nobody would know how late.
                target_session_attrs="primary",
                server_settings={"application_name": "gateway", "jit": "off", **settings},
            )
        except asyncpg.InterfaceError:
            raise
        except (ValueError, OverflowError) as fault:
            # Such as a port that is no number: what it says may repeat parts of the URL.
            raise ConnectionError(f"the URL of {self.name} cannot be used ({type(fault).__name__})") from None

    @property
    def password(self) -> Any:  # noqa: ANN401 - what asyncpg takes
        """What asyncpg asks for the password; None where the URL has it, or none is needed."""
        file = self.password_file
        return None if file is None else lambda: file.read_text("utf-8").rstrip("\r\n")
