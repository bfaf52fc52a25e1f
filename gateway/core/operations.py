"""From method and canonical path to the operation that a request attempts."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

from gateway.core.errors import ConfigError
from gateway.core.target import Ambiguous, canonical_target, decode_unreserved, shown
from gateway.core.terms import Ambiguity, Operation

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_MATCHED: Final = frozenset(METHODS) - {"HEAD"}
"""HEAD is GET without the answer's body."""
_READING: Final = frozenset({"GET", "OPTIONS"})
LENIENT: Final = frozenset({Operation.VIEW, Operation.LOGIN, Operation.SUPPORT})
"""What stays open when nearly all else is closed. A spelling that may only be meant so must not land here."""

_PARAMETER: Final = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Starlette's converters: what they accept, and a sample of it.
_CONVERTERS: Final = {
    "str": ("[^/]+", "some-text"),
    "int": ("[0-9]+", "1"),
    "float": (r"[0-9]+(?:\.[0-9]+)?", "1.5"),
    "uuid": ("[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}", "0190b5c4-7a1e-7c3d-8f21-5d1c3a9e4b70"),
    "path": (".*", "some/text"),
}


class _Route(NamedTuple):
    position: int
    operation: Operation
    methods: frozenset[str]
    path: str
    literals: tuple[str, ...]
    """What stands before, between and after the parameters, in canonical form."""
    converters: tuple[str, ...]

    def filled(self, texts: Sequence[str]) -> str:
        """Return the path with these texts for its parameters."""
        return "".join(piece for pair in zip(self.literals, (*texts, ""), strict=True) for piece in pair)

    @property
    def sample(self) -> str:
        """A path that the route is meant for."""
        return self.filled([_CONVERTERS[converter][1] for converter in self.converters])

    @property
    def shape(self) -> str:
        """The path without the names of its parameters."""
        return self.filled([f"{{{converter}}}" for converter in self.converters]).lower().rstrip("/")

    @property
    def described(self) -> str:
        """The route as its author finds it."""
        methods = "any method" if self.methods == _MATCHED else " ".join(sorted(self.methods))
        return f"operations[{self.position}] ({self.operation}, {methods}, `{self.path}`)"


class _Index:
    """The routes of one method that are matched in one way, found by how they begin."""

    __slots__ = ("_longest", "_patterns", "_static")

    def __init__(self, routes: Sequence[_Route], *, exact: bool) -> None:
        self._static: dict[str, _Route] = {}
        found: dict[str, list[tuple[str, _Route]]] = {}
        for route in routes:
            begin = route.literals[0] if exact else route.literals[0].lower()
            if route.converters:
                pattern = _exact_pattern(route) if exact else _loose_pattern(route)
                found.setdefault(begin.rpartition("/")[0], []).append((pattern, route))
            else:
                bare = begin.rstrip("/")
                for spelling in (bare, bare + "/") if exact else (bare,):
                    self._static.setdefault(spelling, route)
        self._patterns = {
            begin: (re.compile("|".join(f"({text})" for text, _ in of)), tuple(route for _, route in of))
            for begin, of in found.items()
        }
        self._longest = max(map(len, found), default=0)

    def find(self, path: str) -> _Route | None:
        """Return the first route that matches the whole path."""
        best = self._static.get(path)
        if self._patterns:
            # Long paths are cut to the longest beginning there is, so that they cost no more than short ones.
            begin = path if len(path) <= self._longest else path[: self._longest + 1].rpartition("/")[0]
            while True:
                candidates = self._patterns.get(begin)
                if candidates is not None:
                    match = candidates[0].fullmatch(path)
                    if match is not None:
                        assert match.lastindex is not None
                        route = candidates[1][match.lastindex - 1]
                        if best is None or route.position < best.position:
                            best = route
                if not begin:
                    break
                begin = begin.rpartition("/")[0]
        return best


class OperationTable:
    """The routes of an operator, first match wins. It fails when built, never when asked.

    Protected operations are matched by what may be meant: in any case, with and without a trailing slash, typed
    parameters by any text. The lenient ones (`view`, `login`, `support`) are matched by what is written.
    """

    __slots__ = ("_exact", "_loose")

    def __init__(self, routes: Sequence[tuple[str, Sequence[str], str]]) -> None:
        """Raise ConfigError for a route that cannot be, cannot be reached, or stands there twice."""
        table = [_route(position, *route) for position, route in enumerate(routes)]
        self._loose = {
            method: _Index(
                [one for one in table if method in one.methods and one.operation not in LENIENT], exact=False
            )
            for method in _MATCHED
        }
        self._exact = {
            method: _Index([one for one in table if method in one.methods and one.operation in LENIENT], exact=True)
            for method in _MATCHED
        }
        for route in table:
            self._check_reachable(route)

    def classify(self, method: str, path: str) -> Operation:
        """Return the operation of a canonical path; `view` or `unclassified` where no route names it."""
        if method == "HEAD":
            method = "GET"
        route = self._find(method, path)
        if route is not None:
            return route.operation
        return Operation.VIEW if method in _READING else Operation.UNCLASSIFIED

    def _find(self, method: str, path: str) -> _Route | None:
        if method not in _MATCHED:
            return None
        loose = self._loose[method].find(path.lower().rstrip("/"))
        exact = self._exact[method].find(path)
        if loose is None or (exact is not None and exact.position < loose.position):
            return exact
        return loose

    def _check_reachable(self, route: _Route) -> None:
        """Raise ConfigError where an earlier route takes what this one is meant for."""
        found = (self._find(method, route.sample) for method in sorted(route.methods))
        taken = [one for one in found if one is not None and one.position < route.position]
        if route.methods == _MATCHED and len(taken) < len(_MATCHED):
            return  # any method but those that earlier routes name: that is how a rest is written
        for one in taken:
            if one.shape == route.shape:
                raise ConfigError(
                    f"{route.described} is {one.described} again; the first match wins, so remove one of them"
                )
            if one.operation != route.operation:
                raise ConfigError(
                    f"{route.described} is never reached: {one.described} comes first; put the narrower first"
                )


def checked_path(path: str) -> str:
    """Return `path` where it is in Starlette's syntax and requests can have it. Raise ConfigError."""
    _parts("path", path)
    return path


def check_method(method: str) -> Ambiguous | None:
    """Return None for a method that the gateway passes on, in exactly its own case."""
    if method in METHODS:
        return None
    return Ambiguous(
        Ambiguity.METHOD, f"the method {shown(method.encode('utf-8', 'replace'))} is none of {' '.join(METHODS)}"
    )


def _exact_pattern(route: _Route) -> str:
    """Return what is written: each parameter takes what its converter takes, and a trailing slash may follow."""
    text = re.escape(route.literals[0])
    for converter, literal in zip(route.converters, route.literals[1:], strict=True):
        taken = _CONVERTERS[converter][0]
        if converter == "str" and literal[:1] not in {"", "/"}:
            # Narrower than the router, which tries every place: a long path must not cost the square of its length.
            taken = f"[^/{re.escape(literal[0])}]+"
        text += taken + re.escape(literal)
    return text.removesuffix("/") + "/?"


def _loose_pattern(route: _Route) -> str:
    """Return what may be meant, in lower case and without a trailing slash: a parameter takes any text."""
    markers = ["\1" if converter == "path" else "\0" for converter in route.converters]
    segments = route.filled(markers).lower().rstrip("/").split("/")
    rest = segments[-1] == "\1"
    if rest:
        segments.pop()
    return "/".join(map(_loose_segment, segments)) + ("(?:/.*)?" if rest else "")


def _loose_segment(segment: str) -> str:
    """Return the pattern of one segment; all from its first parameter to its last is any text."""
    parts = re.split("[\0\1]", segment)
    if len(parts) == 1:
        return re.escape(segment)
    return re.escape(parts[0]) + (".*" if "\1" in segment else "[^/]+") + re.escape(parts[-1])


def _route(position: int, operation: str, methods: Sequence[str], path: str) -> _Route:
    where = f"operations[{position}]"
    if operation not in set(Operation):
        raise ConfigError(f"{where}.operation: unknown operation `{operation}`{_close(operation, list(Operation))}")
    for method in methods:
        if method not in _MATCHED:
            raise ConfigError(f"{where}.methods: {_method_advice(method)}")
    literals, converters = _parts(f"{where}.path", path)
    return _Route(position, Operation(operation), frozenset(methods) or _MATCHED, path, literals, converters)


def _method_advice(method: str) -> str:
    if method.upper() == "HEAD":
        return "write `GET`: HEAD counts as GET"
    if method.upper() in {"WEBSOCKET", "WS"}:
        return "write `GET`: a WebSocket handshake is GET"
    return f"`{method}` is not passed on by the gateway{_close(method.upper(), sorted(_MATCHED))}"


def _close(word: str, words: Sequence[str]) -> str:
    close = get_close_matches(word, words, n=1)
    return f": did you mean `{close[0]}`?" if close else f"; there are {', '.join(f'`{one}`' for one in words)}"


def _parts(where: str, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the literals of a path in canonical form and the converters between them, or raise ConfigError."""
    if not path.startswith("/"):
        raise ConfigError(f"{where}: `{path}` does not begin with `/`: did you mean `/{path}`?")
    literals: list[str] = []
    converters: list[str] = []
    end = 0
    for parameter in _PARAMETER.finditer(path):
        name, converter = parameter[1], "str" if parameter[2] is None else parameter[2]
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: `{parameter[0]}` in `{path}` needs a name, such as `{{id}}`")
        if converter not in _CONVERTERS:
            raise ConfigError(
                f"{where}: unknown converter `{converter}` in `{path}`{_close(converter, list(_CONVERTERS))}"
            )
        if parameter.start() == end:
            raise ConfigError(f"{where}: `{path}` has nothing between two parameters, so that none can tell them apart")
        literals.append(_literal(where, path, path[end : parameter.start()]))
        converters.append(converter)
        end = parameter.end()
    literals.append(_literal(where, path, path[end:]))
    if converters.count("path") > 1:
        raise ConfigError(f"{where}: `{path}` has more than one `:path`, each of which takes any number of segments")
    route = _Route(0, Operation.UNCLASSIFIED, _MATCHED, path, tuple(literals), tuple(converters))
    _refuse(where, path, canonical_target(route.sample.encode("utf-8"), None))
    return route.literals, route.converters


def _literal(where: str, path: str, literal: str) -> str:
    decoded = decode_unreserved(literal.encode("utf-8"))
    _refuse(where, path, decoded)
    assert not isinstance(decoded, Ambiguous)
    return decoded.decode("utf-8")


def _refuse(where: str, path: str, read: str | bytes | Ambiguous) -> None:
    if isinstance(read, Ambiguous):
        raise ConfigError(f"{where}: no request can have the path `{path}`: {read.detail}")
