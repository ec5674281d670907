"""Converts values from a file, the command line or the form to the type of their setting."""

from __future__ import annotations

from typing import Any

from omegaconf import BooleanNode, FloatNode, IntegerNode, StringNode, ValueNode
from omegaconf.errors import ValidationError

from .text_yaml import Unquoted, WrittenList, WrittenMapping, read_list

_NODES: dict[str, type[ValueNode]] = {"int": IntegerNode, "float": FloatNode, "bool": BooleanNode, "str": StringNode}
_ALIKE = {"int": int, "float": float, "bool": bool, "str": str}
"""The types of values that stay as they are; anything else is left to OmegaConf."""
_NOTHING = ("", "~", "null", "Null", "NULL")
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text",
          "List[str]": "a list of texts", "List[float]": "a list of numbers",
          "Dict[str, str]": "a list of key: text"}


def converted(type_name: str, value: Any) -> Any:
    """``value`` converted to the type of a setting, such as ``int`` or ``Optional[List[str]]``.

    Raises ``ValueError`` if it cannot be converted.
    """
    optional, inner = _inner(type_name)
    if type(value) is _ALIKE.get(inner):
        return value
    if optional and (value is None or (isinstance(value, Unquoted) and value in _NOTHING)):
        return None
    if inner.startswith("Dict[str, "):
        if not isinstance(value, dict):
            raise ValueError(value)
        return {str(key): converted(inner[len("Dict[str, "):-1], item) for key, item in value.items()}
    if inner.startswith("List["):
        items = read_list(value) if isinstance(value, Unquoted) else value
        if not isinstance(items, list):
            raise ValueError(value)
        return [converted(inner[len("List["):-1], item) for item in items]
    if inner == "str" and isinstance(value, (WrittenMapping, WrittenList)):
        value = value.text
    if value is None or isinstance(value, (dict, list)):
        raise ValueError(value)
    try:
        return _NODES[inner]().validate_and_convert(str(value) if isinstance(value, str) else value)
    except (ValidationError, OverflowError):  # the latter for a whole number beyond any float
        raise ValueError(value) from None


def type_words(type_name: str) -> str:
    """The values that a setting of this type takes, in words."""
    optional, inner = _inner(type_name)
    return _WORDS.get(inner, inner) + (", or empty" if optional else "")


def _inner(type_name: str) -> tuple[bool, str]:
    optional = type_name.startswith("Optional[")
    return optional, type_name[len("Optional["):-1] if optional else type_name
