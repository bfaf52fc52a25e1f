"""Conditions as text again: as somebody would write them who had only what they mean."""

from gateway.policies.expression import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Known,
    ListName,
    Literal,
    Literals,
    Not,
    Operand,
)

_MOST_VALUES = 8


def text_of(part: Condition | Operand, *, whole: bool = True) -> str:
    """Return a condition or operand as conditions write it. Unless `whole`, a long list is cut."""
    match part:
        case Comparison(left, operator, right):
            text = f"{_operand(left, whole=whole)} {operator} {_operand(right, whole=whole)}"
        case Known(fact):
            text = f"known({fact})"
        case Not(inner):
            text = f"not {_within(inner, whole=whole)}"
        case AllOf(parts):
            text = " and ".join(_within(one, whole=whole) for one in parts) or "True"
        case AnyOf(parts):
            text = " or ".join(_within(one, whole=whole) for one in parts) or "not True"
        case _:
            text = _operand(part, whole=whole)
    return text


def _operand(part: Operand, *, whole: bool) -> str:
    match part:
        case FactName(name) | ListName(name):
            return name
        case Literal(value):
            return _value(value)
        case Literals(values):
            shown = values if whole else values[:_MOST_VALUES]
            return f"[{', '.join(map(_value, shown))}{', …' if len(shown) < len(values) else ''}]"


def _within(part: Condition, *, whole: bool) -> str:
    """Return a part of a larger condition, in parentheses where they may be needed."""
    text = text_of(part, whole=whole)
    return f"({text})" if isinstance(part, AllOf | AnyOf) and len(part.parts) > 1 else text


def _value(value: str | float) -> str:
    if not isinstance(value, str):
        return repr(value)
    return f"'{value}'" if '"' in value else f'"{value}"'
