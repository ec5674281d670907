"""Evaluates arithmetic such as ``0.0001 * 2``, with +, -, * and / only."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_LONGEST = 200


def worked_out(text: str, *, whole: bool = False) -> str | None:
    """``text`` evaluated, in digits; ``None`` if it is not arithmetic. ``whole`` divides integers as bash does."""
    if len(text) > _LONGEST:
        return None
    try:
        number = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None
    if isinstance(number, float) and (whole or (number.is_integer() and abs(number) < 1e15)):
        number = int(number)
    return f"{number:.12g}" if isinstance(number, float) else str(number)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value) if isinstance(node.value, float) else int(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        number = _value(node.operand)
        return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError(ast.dump(node))
