"""Decisions into an object store (S3, Google Cloud, Azure, a local folder), as gzipped NDJSON or as Parquet."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.columns import parquet_schema, row_of
from gateway.adapters.sinks.post import shown, zipped
from gateway.core.decision import Document
from gateway.core.errors import ConfigError

Form = Literal["ndjson", "parquet"]

_OPTIONS: Final = {"s3": "aws_", "gs": "google_", "az": "azure_", "file": None}
"""The kinds of store, and how the options of each begin."""
_SHOWN: Final = 300


class ObjectStore:
    """Writes a batch as one object for each hour that it has decisions of.

    The key is `date=…/hour=…/<worker>-<id of the first decision>`. A batch that is sent again begins with the same
    decision, so it overwrites what it wrote before, even where it ends elsewhere: nothing is there twice.
    """

    def __init__(
        self,
        url: str,
        *,
        worker: str,
        form: Form = "ndjson",
        options: Mapping[str, str] | None = None,
        allow_http: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """Build, without connecting. Raise ConfigError where it cannot work, or the extra is not installed.

        Args:
            url: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or file:///FOLDER, which must exist.
            worker: names who writes, in each key.
            form: how an object is written.
            options: of the store, such as aws_region; those of S3 begin with aws_, and so on. They may be secret.
            allow_http: let an endpoint be plain http.
            timeout_s: for one object, all attempts included.
        """
        self.name = f"sink {shown(url)}"
        self._worker = worker
        self._timeout_s = timeout_s
        self._obstore = _library("obstore", self.name)
        self._suffix, self._write = _form(form, self.name)
        self._folder = Path(urlsplit(url).path) if urlsplit(url).scheme == "file" else None
        self._store = self._open(url, dict(options or {}), allow_http=allow_http)

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once every object is in the store. Raise SinkUnavailable."""
        for key, documents in self._objects(batch).items():
            try:
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.to_thread(self._put, key, documents)
            except TimeoutError:
                raise SinkUnavailable(f"{self.name}: {key} was not written within {self._timeout_s:g} s") from None
            except (self._obstore.exceptions.BaseError, OSError, ValueError, RuntimeError) as fault:
                raise SinkUnavailable(f"{self.name}: {_first_line(fault)}") from None

    async def close(self) -> None:
        """Return: the store's connections end with it."""

    def _put(self, key: str, documents: Sequence[Document]) -> None:
        # In a thread of ours: the library's own coroutines now and then abort a process that ends soon after one.
        self._obstore.put(self._store, key, self._write(documents))
        if self._folder is not None:
            _put_on_disk(self._folder / key, self._folder)

    def _objects(self, batch: Sequence[Document]) -> dict[str, list[Document]]:
        """Return the decisions of each hour by the key that they are written under."""
        hours: dict[str, list[Document]] = {}
        for document in batch:
            hours.setdefault(document["at"][:13], []).append(document)
        return {
            f"date={hour[:10]}/hour={hour[11:]}/{self._worker}-{documents[0]['id']}{self._suffix}": documents
            for hour, documents in hours.items()
        }

    def _open(self, url: str, options: dict[str, str], *, allow_http: bool) -> Any:  # noqa: ANN401 - the library's union
        scheme = urlsplit(url).scheme
        if scheme not in _OPTIONS:
            raise ConfigError(f"{self.name}: `{scheme}` is no object store; there are {', '.join(_OPTIONS)}")
        if "@" in urlsplit(url).netloc:
            raise ConfigError(f"{self.name}: the URL holds a password; give it as an option of the store")
        begin = _OPTIONS[scheme]
        strange = next((name for name in options if begin is None or not name.startswith(begin)), None)
        if strange is not None:
            raise ConfigError(
                f"{self.name}: option `{strange}`: {f'those begin with {begin}' if begin else 'none here'}"
            )
        remote: dict[str, Any] = {} if begin is None else {"config": options or None}
        if begin is not None:
            remote["client_options"] = {"timeout": f"{self._timeout_s:g}s", "allow_http": allow_http}
            # Who feeds the sink asks again, and says so; the library would do so for minutes, silently.
            remote["retry_config"] = {"max_retries": 1}
        try:
            return import_module("obstore.store").from_url(url, **remote)
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as fault:
            raise ConfigError(f"{self.name}: {_first_line(fault)}") from None


def ndjson(documents: Sequence[Document]) -> bytes:
    """Return the documents as gzipped lines of JSON."""
    return zipped(b"".join(orjson.dumps(one) + b"\n" for one in documents))


def parquet(documents: Sequence[Document]) -> bytes:
    """Return the documents as a Parquet file of the columns of `Row`."""
    arrow, files = import_module("pyarrow"), import_module("pyarrow.parquet")
    table = arrow.Table.from_pylist([row_of(one)._asdict() for one in documents], schema=parquet_schema(arrow))
    file = BytesIO()
    files.write_table(table, file, compression="zstd")
    return file.getvalue()


def _form(form: str, name: str) -> tuple[str, Callable[[Sequence[Document]], bytes]]:
    if form == "ndjson":
        return ".ndjson.gz", ndjson
    if form == "parquet":
        if find_spec("pyarrow") is None:  # it is large, and whoever only looks whether this can work need not load it
            raise _missing("pyarrow", name)
        return ".parquet", parquet
    raise ConfigError(f"{name}: form `{form}`; there are ndjson and parquet")


def _library(library: str, name: str) -> Any:  # noqa: ANN401 - a module of an extra that may be missing
    try:
        return import_module(library)
    except ImportError:
        raise _missing(library, name) from None


def _missing(library: str, name: str) -> ConfigError:
    return ConfigError(
        f"{name}: `{library}` is missing; install the extra: pip install 'geofence-gateway[object-store]'"
    )


def _put_on_disk(file: Path, folder: Path) -> None:
    """Sync a file that was written, and the folders down to it: a local store leaves that to the system."""
    for path in (file, *file.relative_to(folder).parents):
        fd = os.open(folder / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:_SHOWN]
