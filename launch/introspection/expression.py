"""Small expressions over the fields of a message, for --filter and --field.

Python's grammar, but only what is listed here: fields, constants, comparisons, and/or/not, arithmetic,
indices and a few functions. Nothing is executed: the syntax tree is walked. As in ROS, m.tick is the same
as tick.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from launch.introspection.errors import QuestionError
from launch.suggest import did_you_mean

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "all": np.all,
    "any": np.any,
    "len": len,
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "sum": np.sum,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True)
class Expression:
    """An expression whose names are known to exist."""

    text: str
    tree: ast.expr

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Return its value.

        Args:
            fields: values by name; a mapping among them is reached with a dot, as in header.seq.

        Raises:
            QuestionError: if it cannot be computed.
        """
        try:
            return _value(self.tree, fields)
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            msg = f"{self.text!r}: {error}"
            raise QuestionError(msg) from error

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Return whether it is true.

        Raises:
            QuestionError: if it cannot be computed, or has a value per element.
        """
        value = self.value(fields)
        if isinstance(value, np.ndarray) and value.size != 1:
            msg = f"{self.text!r}: gives {value.shape} values, expected one; use any(...) or all(...)"
            raise QuestionError(msg)
        return bool(value)


def parse(text: str, names: Mapping[str, Collection[str]]) -> Expression:
    """Return the expression in a text.

    Args:
        text: such as `tick > 5 and any(terminated)`.
        names: the fields that there are; those of a group below it, such as those of `header`.

    Raises:
        QuestionError: if the text is none, or names something that is not there.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        msg = f"{text!r}: is no expression: {error}"
        raise QuestionError(msg) from None
    _check(text, tree, names)
    return Expression(text, tree)


def _check(text: str, node: ast.expr, names: Mapping[str, Collection[str]]) -> None:
    match node:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="m"), attr=name):
            _check_name(text, name, names)
        case ast.Attribute(value=inner, attr=name):
            _check(text, inner, names)
            _check_name(text, name, names.get(_last(inner), ()))
        case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
            msg = f"{text!r}: there is no function {name}; there are {', '.join(FUNCTIONS)}"
            raise QuestionError(msg)
        case _:
            parts = _parts(node)
            if parts is None:
                msg = (
                    f"{text!r}: {ast.unparse(node)!r} is not allowed here; allowed are fields, constants, "
                    f"comparisons, and, or, not, + - * / // %, [index] and {', '.join(FUNCTIONS)}"
                )
                raise QuestionError(msg)
            for part in parts:
                _check(text, part, names)


def _parts(node: ast.expr) -> list[ast.expr] | None:
    """Return the parts of a node that is allowed, None of one that is not."""
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, bool | int | float | str):
            return []
        case ast.Call(func=ast.Name(), args=parts, keywords=[]) | ast.BoolOp(values=parts):
            return parts
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return parts
        case ast.Compare(left=left, ops=kinds, comparators=others):
            return [left, *others] if all(type(kind) in _COMPARISONS for kind in kinds) else None
        case ast.BinOp(left=left, op=kind, right=right):
            return [left, right] if type(kind) in _ARITHMETIC else None
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=inner):
            return [inner]
        case ast.Subscript(value=inner, slice=index):
            return [inner, index]
        case ast.Slice(lower=low, upper=high, step=step):
            return [part for part in (low, high, step) if part is not None]
    return None


def _check_name(text: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        msg = f"{text!r}: there is no field {name!r}; {did_you_mean(name, known)}"
        raise QuestionError(msg)


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _value(node: ast.expr, fields: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="m"), attr=name):
            return fields[name]
        case ast.Attribute(value=inner, attr=name):
            return _value(inner, fields)[name]
        case ast.Constant(value=value):
            return value
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(_value(argument, fields) for argument in arguments))
        case ast.Compare(left=left, ops=kinds, comparators=others):
            return _compared(_value(left, fields), kinds, [_value(other, fields) for other in others])
        case ast.BoolOp(op=kind, values=parts):
            wanted = isinstance(kind, ast.Or)  # the value that decides
            return any(bool(_value(part, fields)) is wanted for part in parts) is wanted
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return tuple(_value(part, fields) for part in parts)
        case ast.BinOp(left=left, op=kind_of, right=right):
            return _ARITHMETIC[type(kind_of)](_value(left, fields), _value(right, fields))
        case ast.UnaryOp(op=sign, operand=inner):
            value = _value(inner, fields)
            return not value if isinstance(sign, ast.Not) else -value
        case ast.Subscript(value=inner, slice=index):
            return _value(inner, fields)[_value(index, fields)]
        case ast.Slice(lower=low, upper=high, step=step):
            return slice(*(None if part is None else _value(part, fields) for part in (low, high, step)))
    raise TypeError(ast.unparse(node))


def _compared(left: Any, kinds: list[ast.cmpop], others: list[Any]) -> Any:
    results = []
    for kind, right in zip(kinds, others, strict=True):
        results.append(_COMPARISONS[type(kind)](left, right))
        left = right
    return results[0] if len(results) == 1 else np.logical_and.reduce(results)
