"""Conditions: text in the syntax of Python expressions, as a tree of comparisons joined by and, or, not."""

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final, TypeAlias

from gateway.policies.findings import Finding, Place, Rejected, quoted
from gateway.policies.schema import FACTS
from gateway.policies.slips import in_condition

MAX_CHARACTERS: Final = 4_000
MAX_DEPTH: Final = 32


@unique
class Operator(StrEnum):
    """How two operands are compared."""

    EQUAL = "=="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    NOT_IN = "not in"


@dataclass(frozen=True, slots=True)
class FactName:
    """A fact, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class ListName:
    """A named list, with underscores in place of hyphens."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """One value."""

    value: str | int | float


@dataclass(frozen=True, slots=True)
class Literals:
    """A list written out."""

    values: tuple[str | int | float, ...]


Operand: TypeAlias = FactName | ListName | Literal | Literals


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands compared."""

    left: Operand
    operator: Operator
    right: Operand
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a fact has exactly one possible value."""

    fact: str
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is false."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every part is; with no parts, always."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where some part is."""

    parts: "tuple[Condition, ...]"


Condition: TypeAlias = Comparison | Known | Not | AllOf | AnyOf

ALWAYS: Final = AllOf(())

_OPERATORS: Final[dict[type[ast.cmpop], Operator]] = {
    ast.Eq: Operator.EQUAL,
    ast.NotEq: Operator.UNEQUAL,
    ast.Lt: Operator.LESS,
    ast.LtE: Operator.AT_MOST,
    ast.Gt: Operator.MORE,
    ast.GtE: Operator.AT_LEAST,
    ast.In: Operator.IN,
    ast.NotIn: Operator.NOT_IN,
}

_CLOSING: Final = {")": "(", "]": "[", "}": "{"}

_INSTEAD: Final[dict[type[ast.AST], str]] = {
    ast.Attribute: "facts have no parts: write `trade.spot` in quotes where an operation is meant",
    ast.BinOp: "conditions do not calculate, and a name has `_` where the list has `-`",
    ast.Call: "the only function is `known(fact)`",
    ast.IfExp: "write `if … else` with and, or, not",
    ast.JoinedStr: "write the text out",
    ast.Dict: "lists are written `[...]`",
    ast.Is: "write `==`",
    ast.IsNot: "write `!=`",
    ast.Tuple: "comparisons are joined by `and` and `or`, and numbers have no separators",
    ast.Lambda: "conditions only compare facts",
    ast.NamedExpr: "conditions name nothing: `==` compares",
    ast.Subscript: "a set is asked by `in`",
}
"""What to write in place of what the language leaves out."""


def parse(text: str, locate: Callable[[int], Place]) -> Condition:
    """Return the condition in `text`. `locate` gives the place of a character; Rejected says what does not parse."""
    reader = _Reader(text, locate)
    reader.check_slips()
    reader.check_tokens()
    return reader.condition(reader.tree(), 0)


def comparisons(condition: Condition) -> Iterator[Comparison | Known]:
    """Return every comparison and every `known(...)` in the order written."""
    match condition:
        case Comparison() | Known():
            yield condition
        case Not(part):
            yield from comparisons(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from comparisons(part)


def facts_of(part: Condition | Operand) -> frozenset[str]:
    """Return the names of the facts that a condition or operand speaks of."""
    match part:
        case FactName(name):
            return frozenset({name})
        case ListName() | Literal() | Literals():
            return frozenset()
        case Comparison(left, _, right):
            return facts_of(left) | facts_of(right)
        case Known(fact):
            return frozenset({fact})
        case Not() | AllOf() | AnyOf():
            return frozenset().union(*(facts_of(one) for one in comparisons(part)))


class _Reader:
    """Reads one condition. Everything that the language does not have is refused by name."""

    def __init__(self, text: str, locate: Callable[[int], Place]) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._locate = locate
        if len(text) > MAX_CHARACTERS:
            raise self._fault(
                0, f"the condition is longer than {MAX_CHARACTERS} characters: put its values in a named list"
            )
        if "\\" in text:
            raise self._fault(text.index("\\"), "a backslash has no meaning in a condition")

    def check_slips(self) -> None:
        """Refuse what other languages and word processors write, by what this one has instead."""
        slip = in_condition(self._text)
        if slip is not None:
            raise self._fault(slip.offset, slip.message)

    def check_tokens(self) -> None:
        """Refuse what the parser would accept in silence: comments that swallow the rest, and missing commas."""
        previous = None
        unclosed: list[tuple[str, int]] = []
        try:
            for token in tokenize.generate_tokens(io.StringIO(f"(\n{self._text}\n)").readline):
                offset = self._offset(*token.start)
                if token.type == tokenize.COMMENT:
                    raise self._fault(offset, "a comment would hide what follows it: put it on a line above `when`")
                if token.type == tokenize.STRING and previous == tokenize.STRING:
                    raise self._fault(offset, "a comma is missing between two texts")
                if token.type != tokenize.NL:
                    previous = token.type
                self._balance(token.string, offset, unclosed)
        except (tokenize.TokenError, SyntaxError):
            return  # the parser says it better

    def _balance(self, token: str, offset: int, unclosed: list[tuple[str, int]]) -> None:
        """Refuse a bracket that closes nothing, or that leaves one open. The first is the parenthesis around it all."""
        if token in _CLOSING.values():
            unclosed.append((token, offset))
        elif token in _CLOSING:
            opened, where = unclosed.pop()
            at_end = offset >= len(self._text)
            if not at_end and (not unclosed or opened != _CLOSING[token]):
                raise self._fault(offset, f"`{token}` is closed here that was not opened")
            if at_end and unclosed:
                raise self._fault(where, f"`{opened}` is never closed")

    def tree(self) -> ast.expr:
        """Return what Python's own parser makes of the text."""
        try:
            # The outer parentheses let a condition run over several lines.
            return ast.parse(f"(\n{self._text}\n)", mode="eval").body
        except SyntaxError as error:
            inside = error.lineno is not None and 2 <= error.lineno <= len(self._lines) + 1
            offset = self._offset(error.lineno or 2, max(0, (error.offset or 1) - 1)) if inside else len(self._text) - 1
            message = error.msg.removesuffix(". Perhaps you forgot a comma?").split(" (detected at")[0]
            if message.startswith("invalid syntax"):
                message = 'invalid syntax. A comparison is such as `country == "CA"`, and `and` or `or` joins two'
            elif message.startswith("unterminated"):
                message += ": quotes come in pairs"
            raise self._fault(max(0, offset), f"the condition cannot be read: {message}") from None
        except (ValueError, MemoryError, RecursionError):
            raise self._fault(
                0, "the condition cannot be read: it is nested too deep, or holds a NUL character"
            ) from None

    def condition(self, node: ast.expr, depth: int) -> Condition:
        """Return the node as a condition."""
        if depth > MAX_DEPTH:
            raise self._fault_at(node, f"the condition is nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.BoolOp():
                parts = tuple(self.condition(value, depth + 1) for value in node.values)
                return AllOf(parts) if isinstance(node.op, ast.And) else AnyOf(parts)
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.condition(node.operand, depth + 1))
            case ast.Compare():
                return self._links(node)
            case ast.Call():
                return self._known(node)
            case ast.Constant(value=True):
                return ALWAYS
            case ast.Name():
                raise self._fault_at(node, f"{quoted(node.id)} alone is not a condition: compare it with something")
            case ast.Constant():
                raise self._fault_at(node, f"{quoted(self._said(node))} alone is not a condition")
            case _:
                raise self._fault_at(node, self._absent(node))

    def _links(self, node: ast.Compare) -> Condition:
        """Return a comparison; a chain is the conjunction of its links."""
        links: list[Condition] = []
        left = node.left
        if len(node.ops) > 1 and any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops):
            said = "asks several things at once"
            raise self._fault_at(node, f"{quoted(self._said(node))} {said}: write each comparison out, joined by `and`")
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if type(operator) not in _OPERATORS:
                raise self._fault_at(left, self._absent(operator))
            place = self._locate(self._offset_of(left))
            links.append(Comparison(self._operand(left), _OPERATORS[type(operator)], self._operand(right), place))
            left = right
        return links[0] if len(links) == 1 else AllOf(tuple(links))

    def _known(self, node: ast.Call) -> Condition:
        match node:
            case ast.Call(func=ast.Name(id="known"), args=[ast.Name(id=name)], keywords=[]):
                return Known(name, self._locate(self._offset_of(node)))
            case ast.Call(func=ast.Name(id="known")):
                raise self._fault_at(node, "`known` takes the name of one fact: `known(country)`")
            case _:
                raise self._fault_at(node, self._absent(node))

    def _operand(self, node: ast.expr) -> Operand:
        match node:
            case ast.Name():
                return FactName(node.id) if node.id in FACTS else ListName(node.id)
            case ast.List() | ast.Tuple() | ast.Set():
                if not node.elts:
                    raise self._fault_at(node, "the list is empty")
                return Literals(tuple(self._value(element) for element in node.elts))
            case _:
                return Literal(self._value(node))

    def _value(self, node: ast.expr) -> str | int | float:
        match node:
            case ast.Constant(value=bool()):
                raise self._fault_at(node, "no fact is true or false: compare with a text or a number")
            case ast.Constant(value=None):
                raise self._fault_at(node, '"there is none" equals nothing: compare with what there is')
            case ast.Constant(value=str() | int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise self._fault_at(
                    node, "only facts, lists and values are compared: put parentheses around comparisons"
                )
            case ast.Name():
                raise self._fault_at(node, f"a list holds texts and numbers: write {quoted(node.id)} in quotes")
            case _:
                raise self._fault_at(node, self._absent(node))

    def _absent(self, node: ast.AST) -> str:
        hint = _INSTEAD.get(type(node))
        what = f"{quoted(self._said(node))} is" if isinstance(node, ast.expr) else "this comparison is"
        return f"{what} not part of the language" + (f": {hint}" if hint else "")

    def _said(self, node: ast.expr) -> str:
        """Return the node as written, as far as its first line goes."""
        start = self._offset_of(node)
        end = node.end_col_offset if node.end_lineno == node.lineno else None
        line = self._lines[node.lineno - 2].encode()
        return self._text[start : start + len(line[node.col_offset : end].decode(errors="ignore"))]

    def _offset_of(self, node: ast.expr) -> int:
        line = self._lines[node.lineno - 2]
        return self._offset(node.lineno, len(line.encode()[: node.col_offset].decode(errors="ignore")))

    def _offset(self, line: int, column: int) -> int:
        """Return the offset in the text of a line (2 is the first: one parenthesis stands above) and a column."""
        return sum(len(one) + 1 for one in self._lines[: max(0, line - 2)]) + column

    def _fault_at(self, node: ast.expr, message: str) -> Rejected:
        return self._fault(self._offset_of(node), message)

    def _fault(self, offset: int, message: str) -> Rejected:
        return Rejected([Finding(self._locate(offset), message, "bad-condition")])
