"""Where policy texts come from (files, folders, the shipped library), and where bundles once in force are kept."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Protocol

from gateway.core.errors import PolicyError, ReplayError
from gateway.policies.bundle import MAX_FILES, digest_of
from gateway.policies.document import MAX_CHARACTERS
from gateway.policies.findings import Finding, Place, Rejected, did_you_mean

LIBRARY: Final = "library:"
UNLICENSED: Final = "unlicensed-"
"""How the names of policies begin that close a market to an exchange without its licence. `library:*` has none of them:
only the exchange knows what it lacks."""

_POINTER: Final = "running"
"""Beside the bundles: the digest of the one that was in force here last."""
_READINGS: Final = 5
_SUFFIXES: Final = (".yaml", ".yml")
_DIGITS: Final = 64
_DIGEST: Final = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")
_OWN_LIST: Final = re.compile(r"""^list:\s*["']?([\w.-]+)""", re.MULTILINE)


class Published(Protocol):
    """What is archived of a bundle."""

    @property
    def digest(self) -> str:
        """The SHA-256 of names and texts."""

    @property
    def sources(self) -> Mapping[str, str]:
        """The texts by name."""


def read_sources(paths: Iterable[str | Path], base: Path) -> dict[str, str]:
    """Return the texts of policies and lists by name. Raise PolicyError where a path leads nowhere.

    A path is a file, a folder (all `.yaml` and `.yml` files in it, at any depth) or a policy of the shipped library:
    `library:us-exit`, or `library:*` for all that hold whatever licences the exchange has. Relative paths start at
    `base`. The shipped lists that these texts mention come with them, unless the operator has a list of the same name:
    then that one counts.
    """
    texts: dict[str, str] = {}
    for path in map(str, paths):
        if path.startswith(LIBRARY):
            texts |= _from_library(path.removeprefix(LIBRARY))
        else:
            for file in _files(base / path, path):
                name = _name(file, base)
                texts[name] = _read(file, name)
                if len(texts) > MAX_FILES:
                    raise PolicyError(f"{path}: more than {MAX_FILES} policy files; is this the right folder?")
    return texts | _mentioned_lists(texts)


def read_settled(paths: Iterable[str | Path], base: Path) -> dict[str, str]:
    """Return the texts as two readings in a row find them. Raise PolicyError, also where they keep changing.

    A mounted volume is swapped as a whole, but read file by file: one reading could have some files of before the swap
    and some of after it.
    """
    paths = tuple(paths)
    found = read_sources(paths, base)
    for _ in range(_READINGS):
        again = read_sources(paths, base)
        if again == found:
            return found
        found = again
    raise PolicyError("the policies change while they are read")


def library() -> dict[str, Traversable]:
    """Return the files of the shipped policies by name."""
    return _shipped(resources.files("gateway.policies.library"))


class BundleArchive:
    """Every bundle that was ever in force, by its digest, so that its decisions can be replayed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, bundle: Published) -> None:
        """Keep the texts of a bundle. What is there whole stays; a half-written file never takes its place."""
        target = self._file(bundle.digest)
        if not self._has(bundle.digest):
            document = {"digest": bundle.digest, "sources": dict(sorted(bundle.sources.items()))}
            self._write(target, json.dumps(document, ensure_ascii=False, indent=1))

    def point(self, digest: str) -> None:
        """Remember which bundle is in force here, for a start at which nobody else can say. Raise OSError."""
        if self.pointed() != digest:
            self._write(self._directory / _POINTER, f"{digest}\n")

    def pointed(self) -> str | None:
        """Return the digest of the bundle that was in force here last; None where nothing says."""
        try:
            with (self._directory / _POINTER).open("rb") as file:
                text = file.read(_DIGITS + 2).decode("ascii", "replace").strip()
        except OSError:
            return None
        return text if _DIGEST.fullmatch(text) else None

    def _has(self, digest: str) -> bool:
        """Return whether the texts are there as they should be: a file that was damaged is written anew."""
        try:
            return self.get(digest) is not None
        except ReplayError:
            return False

    def _write(self, target: Path, text: str) -> None:
        """Write a file whole or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=self._directory, prefix=".", delete=False) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(target)
                _sync(self._directory)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def get(self, digest: str) -> Mapping[str, str] | None:
        """Return the texts of a bundle, or None where it was never kept. Raise ReplayError where they were altered."""
        file = self._file(digest)
        try:
            document = json.loads(file.read_bytes())
            sources = {str(name): str(text) for name, text in document["sources"].items()}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ReplayError(f"{file} is damaged: it is no archived bundle") from None
        found = digest_of(sources)
        if found != digest:
            raise ReplayError(f"{file} was altered: its texts have the digest {found[:12]}, not {digest[:12]}")
        return sources

    def _file(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ReplayError(f"`{digest[:80]}` is no digest of a bundle: 64 hexadecimal digits")
        return self._directory / f"{digest}.json"


def _sync(directory: Path) -> None:
    """Put the names in a directory on the disk: a file whose name is lost is lost."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _from_library(name: str) -> dict[str, str]:
    policies = library()
    if name != "*" and name not in policies:
        raise PolicyError(f"no policy `{name}` in the shipped library{did_you_mean(name, policies)}")
    chosen = [one for one in policies if not one.startswith(UNLICENSED)] if name == "*" else [name]
    return {f"{LIBRARY}{one}.yaml": _read(policies[one], f"{one}.yaml") for one in chosen}


def _mentioned_lists(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the shipped lists that the texts mention. A mention in a comment counts: one list too many is harmless."""
    words = {word for text in texts.values() for word in re.findall(r"\w+", text)}
    own = {_key(name) for text in texts.values() for name in _OWN_LIST.findall(text)}
    shipped = _shipped(resources.files("gateway.policies.library") / "lists")
    return {
        f"{LIBRARY}lists/{name}.yaml": _read(file, file.name)
        for name, file in shipped.items()
        if _key(name) in words and _key(name) not in own
    }


def _key(name: str) -> str:
    return name.replace("-", "_")


def _shipped(folder: Traversable) -> dict[str, Traversable]:
    found = {file.name.removesuffix(".yaml"): file for file in folder.iterdir() if file.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def _files(path: Path, written: str) -> Iterator[Path]:
    """Return the policy files at a path, in order."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        shipped = path.name.removesuffix(".yaml")
        hint = f": did you mean `{LIBRARY}{shipped}`?" if shipped in library() else ""
        raise PolicyError(f"there is no file or folder `{written}` to read policies from{hint}")
    # What begins with a dot is an editor's backup, or the target of the links that Kubernetes mounts volumes by.
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    )
    if not found:
        raise PolicyError(f"the folder `{written}` holds no policy: no file in it ends in .yaml or .yml")
    yield from found


def _name(file: Path, base: Path) -> str:
    """Return the name of a file within the bundle: its path from `base`, the same on every machine."""
    return Path(os.path.relpath(file, base)).as_posix()


def _read(file: Path | Traversable, shown: object) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(4 * MAX_CHARACTERS + 1)
    except OSError as error:
        raise PolicyError(f"{shown}: cannot be read: {error.strerror or error}") from None
    if len(raw) > 4 * MAX_CHARACTERS:
        raise PolicyError(f"{shown}: longer than {MAX_CHARACTERS // 1024} KiB; is this a policy?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig").split("\n")
        place = Place(str(shown), len(before), len(before[-1]) + 1)
        wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        meant = f"not UTF-8 text: it seems to be {'UTF-16' if wide else 'Latin-1'}, so save the file as UTF-8"
        raise Rejected([Finding(place, meant, "unreadable")]) from None
