"""What a message on an open WebSocket attempts: from its JSON to operations, or to the way in which it is ambiguous.

A message is read in one way or refused. Whatever some reader of JSON would take for another message (a member twice, or
in another case; half a surrogate; what follows the end) is passed on to none.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from gateway.core.errors import ConfigError
from gateway.core.operations import LENIENT, OperationTable
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity, Operation
from gateway.core.withdrawal_request import NOTHING_ASKED, Asked, WithdrawalRule, pointer_of

MOST_MESSAGES: Final = 64
"""Messages of a batch: each is decided and recorded."""
_DEEPEST: Final = 64
_LONGEST_NAME: Final = 512
_LONGEST_ID: Final = 128
_MOST_INTEGER: Final = 1 << 64
_SUSPECT: Final = re.compile(r"\\u|[0-9.][eE][+-]?[0-9]{3}|[0-9]{19}|__proto__")
"""What only the slow look can tell to be harmless: escapes, and numbers that not every reader holds."""
_ANY: Final = "*"


_Place: TypeAlias = tuple[tuple[str, str], ...]
"""The names that lead to a place in JSON, each with its spelling for comparing."""


class Said(NamedTuple):
    """One message, or one of a batch."""

    name: str | None
    """The name of the table that it was found under; None where it is none of them."""
    operation: Operation
    id: str | int | None = None
    """What its sender calls it, for the answer."""
    asked: Asked | None = None
    """What a withdrawal says of itself; None where nothing says where to read it."""


class Attempt(NamedTuple):
    """What is to be decided: the operation of a request, or of a message."""

    operation: Operation
    asked: Asked | None
    """What a withdrawal says of itself; None where nothing says where to read it."""
    message: Mapping[str, str | None] | None = None
    """What is recorded of a message besides; None of a request."""


def message_document(said: Said | None, opened_by: bytes) -> dict[str, str | None]:
    """Return what is recorded of a message besides: its name, if it has one, and the decision that opened its stream.

    None stands for a message that could not be read.
    """
    return {"name": None if said is None else said.name, "opened_by": opened_by.decode("ascii")}


class _Doubt(ValueError):
    """Two readers may read it in two ways."""


class MessageRule:
    """Reads the messages of one path. It fails when built, never when asked."""

    def __init__(
        self,
        *,
        field: str,
        operations: Mapping[str, str],
        otherwise: str = Operation.UNCLASSIFIED,
        texts: Mapping[str, str] | None = None,
        binary: Literal["refuse", "json"] = "refuse",
        batches: Literal["each", "refuse"] = "each",
        other_cases: Literal["refuse", "ignore"] = "refuse",
        most_bytes: int = 64 * 1024,
        answers: bool = False,
        id: str | None = None,  # noqa: A002 - the name of the setting
        withdrawals: WithdrawalRule | None = None,
    ) -> None:
        """Build. Raise ConfigError for a place that is none, and for names that some reader takes for one another.

        `field` and `id` are JSON pointers (RFC 6901) to members; `withdrawals` reads what moves money.
        """
        self._field = _place(pointer_of("field", field))
        self._id = None if id is None else pointer_of("id", id)
        self._names = _Names(operations, Operation(otherwise))
        self._texts = {text: Operation(operation) for text, operation in (texts or {}).items()}
        for text in self._texts:
            if text.lstrip()[:1] in {"{", "["}:
                raise ConfigError(f"texts: `{text[:64]}` begins as JSON does, which is read by `field`")
        self._binary = binary == "json"
        self._batches = batches == "each"
        self._any_case = other_cases == "refuse"
        self._most = most_bytes
        self.answers = answers
        """Whether a refused message is answered, and the stream goes on; else the stream is closed."""
        self._withdrawals = withdrawals
        self._asking = () if withdrawals is None else tuple(map(_place, withdrawals.pointers))

    def read(self, text: str | None, data: bytes | None) -> Sequence[Said] | Ambiguous:
        """Return what a message attempts, one for each of a batch, or why it cannot be read in one way."""
        said = data if text is None else text
        if said is None or (text is not None and data is not None):
            return Ambiguous(Ambiguity.MESSAGE, "not one text, nor one binary message")
        if text is None and not self._binary:
            return Ambiguous(Ambiguity.MESSAGE, "a binary message, and this path has texts alone")
        try:
            # Not decoded, nor encoded, before its length is known to be worth it.
            if len(said) > self._most or len(_bytes(said)) > self._most:
                return Ambiguous(Ambiguity.MESSAGE, f"longer than {self._most} bytes")
            whole = said if isinstance(said, str) else said.decode("utf-8")
            known = self._texts.get(whole)
            return self._of(_parsed(whole)) if known is None else (Said(whole, known, None, self._asked(known, None)),)
        except UnicodeError:
            return Ambiguous(Ambiguity.MESSAGE, "not UTF-8")
        except _Doubt as doubt:
            return Ambiguous(Ambiguity.MESSAGE, str(doubt))

    def _of(self, document: object) -> Sequence[Said]:
        if not isinstance(document, list):
            return (self._one(document),)
        if not self._batches:
            raise _Doubt("a list of messages")
        if len(document) > MOST_MESSAGES:
            raise _Doubt(f"a list of more than {MOST_MESSAGES} messages")
        if not all(isinstance(one, dict) for one in document):
            raise _Doubt("a list of something else than messages")
        # Nobody knows what a list of nothing attempts, so it is something that no name stands for.
        return tuple(map(self._one, document)) or (self._one(None),)

    def _one(self, document: object) -> Said:
        name, operation = self._names.find(self._found(document, self._field))
        return Said(name, operation, self._called(document), self._asked(operation, document))

    def _called(self, document: object) -> str | int | None:
        """Return what its sender calls it: an echo, so that which spelling counts makes no difference."""
        if self._id is None:
            return None
        for part in self._id:
            document = document.get(part) if isinstance(document, dict) else None
        if isinstance(document, bool) or not isinstance(document, str | int) or len(str(document)) > _LONGEST_ID:
            return None
        return document

    def _asked(self, operation: Operation, document: object) -> Asked | None:
        if self._withdrawals is None:
            return None
        if operation not in self._withdrawals.operations:
            return NOTHING_ASKED
        for place in self._asking:
            self._found(document, place)
        return self._withdrawals.of_document(document)

    def _found(self, document: Any, place: _Place) -> Any:  # noqa: ANN401 - a JSON value
        """Return what stands at a place; None where there is nothing. Raise _Doubt where some reader finds another."""
        for part, folded in place:
            if isinstance(document, list):
                raise _Doubt(f"a list where an object with `{part[:64]}` belongs")
            if not isinstance(document, dict):
                return None
            if self._any_case:
                for name in document:
                    if name != part and _folded(name) == folded:
                        raise _Doubt(f"a member whose name differs from `{part[:64]}` in case alone")
            document = document.get(part)
        return document


class _Names:
    """The table of names: protected operations by what may be meant, the lenient ones by what is written."""

    def __init__(self, operations: Mapping[str, str], otherwise: Operation) -> None:
        self._otherwise = otherwise
        self._exact: dict[str, Operation] = {}
        self._meant: dict[str, tuple[str, Operation]] = {}
        self._begins: list[tuple[str, str, Operation]] = []
        alike: dict[str, tuple[str, str]] = {}
        for name, of in operations.items():
            operation = Operation(of)
            begin = name.removesuffix(_ANY)
            if not begin or _ANY in begin or begin != begin.strip() or not begin.isprintable():
                raise ConfigError(
                    f"operations: `{name[:64]}` is no name; write one such as `order.place`, or how several begin, "
                    "such as `order.*`"
                )
            other = alike.setdefault(_folded(name), (name, of))
            if other != (name, of) and other[1] != of:
                raise ConfigError(
                    f"operations: `{other[0]}` and `{name}` differ in spelling alone and attempt different things; "
                    "some reader takes the one for the other"
                )
            if begin != name:
                self._begins.append((begin if operation in LENIENT else _folded(begin), name, operation))
            elif operation in LENIENT:
                self._exact[name] = operation
            else:
                self._exact[name] = operation
                self._meant[_folded(name)] = (name, operation)
        # The longest first; of two that are as long, the protected one.
        self._begins.sort(key=lambda one: (-len(one[0]), one[2] in LENIENT))

    def find(self, name: Any) -> tuple[str | None, Operation]:  # noqa: ANN401 - a JSON value
        """Return the name of the table and its operation. Raise _Doubt where readers may differ about it."""
        if name is None:
            return None, self._otherwise
        if isinstance(name, bool | float | list | dict):
            raise _Doubt("what names the operation is neither text nor a whole number")
        name = str(name)
        known = self._exact.get(name)
        if known is not None:
            return name, known
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise _Doubt("what names the operation is too long, or holds what cannot be printed")
        folded = _folded(name)
        meant = self._meant.get(folded)
        if meant is not None:
            return meant
        for begin, as_written, operation in self._begins:
            if (name if operation in LENIENT else folded).startswith(begin):
                return as_written, operation
        return None, self._otherwise


class MessageTable:
    """The paths whose messages are decided, first match wins. It fails when built, never when asked."""

    def __init__(self, rules: Sequence[tuple[str, MessageRule]]) -> None:
        """Raise ConfigError for a path that cannot be, or that an earlier one takes."""
        self._rules: list[tuple[OperationTable, MessageRule]] = []
        for number, (path, rule) in enumerate(rules):
            if self.rule(re.sub(r"\{[^}]*\}", "x", path)) is not None:
                raise ConfigError(f"messages[{number}].path: `{path}` is never reached: an earlier one takes it")
            # As protected operations are matched: in any case, with and without the last slash.
            try:
                self._rules.append((OperationTable([(Operation.UNCLASSIFIED, ["GET"], path)]), rule))
            except ConfigError as fault:
                raise ConfigError(str(fault).replace("operations[0]", f"messages[{number}]")) from None

    def rule(self, path: str) -> MessageRule | None:
        """Return what reads the messages of a stream at a canonical path; None where nobody looks at them."""
        return next(
            (rule for table, rule in self._rules if table.classify("GET", path) is Operation.UNCLASSIFIED), None
        )


def _bytes(said: str | bytes) -> str | bytes:
    return said if isinstance(said, bytes) or said.isascii() else said.encode("utf-8")


def _parsed(text: str) -> object:
    """Return what a text holds. Raise _Doubt where it is no JSON, or not every reader reads the same."""
    try:
        document = _DECODER.decode(text)
    except _Doubt:
        raise
    except (ValueError, RecursionError):
        raise _Doubt("not JSON") from None
    if text.count("{") + text.count("[") > _DEEPEST or _SUSPECT.search(text) is not None:
        _look_through(document)
    return document


def _look_through(document: object) -> None:
    """Raise _Doubt where something stands in it that not every reader reads, or that some read as something else."""
    level: list[object] = [document]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in _checked(one)]
        if not level:
            return
    raise _Doubt(f"nested more than {_DEEPEST} deep")


def _checked(value: object) -> Iterator[object]:
    match value:
        case dict():
            for name in value:
                # C ends a text at NUL; JavaScript sets the prototype.
                if "\0" in name or name == "__proto__":
                    raise _Doubt("the name of a member that not every reader reads the same")
            yield from value.values()
        case list():
            yield from value
        case str():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise _Doubt("half a surrogate") from None
        case int() if abs(value) >= _MOST_INTEGER:
            raise _Doubt("a number that not every reader holds")
        case float() if abs(value) == float("inf"):
            raise _Doubt("a number that not every reader holds")
        case _:
            pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Which of two members counts depends on who reads: RFC 8259, section 4.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Doubt("a member twice")
    return found


def _no_constant(_name: str) -> object:
    raise _Doubt("not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _place(pointer: tuple[str, ...]) -> _Place:
    return tuple((part, _folded(part)) for part in pointer)


def _folded(text: str) -> str:
    """Return what is the same for all spellings that somebody may take for one name."""
    return (text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()).strip()
