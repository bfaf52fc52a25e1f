"""The archive of an address."""

from pathlib import Path

from gateway.core.errors import ConfigError
from gateway.ports import Archive


def archive_at(url: str, *, export: Path | None = None) -> Archive:
    """Return the archive at `sqlite:///PATH` or `postgresql://…`, not started. Raise ConfigError for any other.

    `export` is the folder into which days are written before PostgreSQL lets them go.
    """
    scheme, _, rest = url.partition("://")
    # Each brings its own database driver, and nobody needs both.
    if scheme == "sqlite":
        from gateway.adapters.archive.sqlite import SqliteArchive  # noqa: PLC0415 - see above

        return SqliteArchive(Path(rest[1:]))
    if scheme == "postgresql":
        from gateway.adapters.archive.postgres import PostgresArchive  # noqa: PLC0415 - see above
        from gateway.adapters.postgres_address import PostgresAddress  # noqa: PLC0415 - see above

        address = PostgresAddress.of(url)
        return PostgresArchive(address.dsn, password_file=address.password_file, export=export)
    raise ConfigError(f"archive.url: there is no archive of the kind `{scheme[:32]}`; use sqlite or postgresql")
