"""Where a database of PostgreSQL is, as settings say it: checked, and made one text that says all of it."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.config import values

SHAPES = "must be `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`"
_TLS = ("disable", "require", "verify-ca", "verify-full")


def postgres_url(url: str, password_file: Path | None, ca_file: Path | None) -> str:
    """Return the URL of a database of PostgreSQL, with the files that belong to it in its query.

    Raise ValueError, which repeats nothing of the user's part.
    """
    parts = urlsplit(url)
    if parts.fragment or "@" in parts.path + parts.query:
        raise ValueError(
            "the user's part holds a character that ends it; write `/` as %2F, `?` as %3F, `#` as %23, `@` as %40, or "
            "use `password_file`"
        )
    query = {key: found[-1] for key, found in parse_qs(parts.query, keep_blank_values=True).items()}
    hosts = [_host(one) for one in (parts.netloc.rpartition("@")[2] or query.get("host", "")).split(",")]
    if not all(hosts) or len(parts.path) < 2:
        raise ValueError(SHAPES)
    if password_file is not None:
        if parts.password is not None or "password" in query:
            raise ValueError("holds a password, and `password_file` is given as well: keep one of them")
        query["password_file"] = str(password_file)
    if ca_file is not None:
        query = {"sslmode": "verify-full", **query, "sslrootcert": str(ca_file)}
    far = [host for host in hosts if host not in values.LOOPBACK and not host.startswith("/")]
    if far and query.get("sslmode") not in _TLS:
        said = "`verify-full` with `ca_file`, or `disable` where nobody else is on the way"
        raise ValueError(f"goes over a network: say by `?sslmode=` whether the server must prove who it is: {said}")
    return f"{url.partition('?')[0]}?{urlencode(query)}" if query else url


def _host(text: str) -> str:
    """Return the host of a host and perhaps a port."""
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
