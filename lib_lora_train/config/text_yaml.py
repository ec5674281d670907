"""YAML with scalars kept as typed: their meaning is decided by the setting, not by YAML.

``no`` is a word for a text setting and false for a switch; ``???`` and ``${x}`` mean nothing special.
"""

from __future__ import annotations

import csv
from collections.abc import Hashable
from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
MOST_NODES = 50_000  # aliases count at their expanded size
MOST_DEPTH = 50
_BYTE_ORDER_MARK = "\ufeff"
_QUICK_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unquoted(str):
    """A scalar without quotes: a text, number, boolean or null, depending on the setting."""


class WrittenMapping(dict[Hashable, Any]):
    """A mapping; ``text`` is its source, for a text setting such as {red|blue}."""

    text = ""


class WrittenList(list[Any]):
    """A list; ``text`` is its source, for a text setting such as [artist]."""

    text = ""


def _built(node: yaml.Node, text: str) -> Any:
    """Only ``str``, ``Unquoted``, ``WrittenMapping`` and ``WrittenList``; ``text`` is what ``node`` was read from."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value) if node.style else Unquoted(node.value)
    if isinstance(node, yaml.SequenceNode):
        items = WrittenList(_built(item, text) for item in node.value)
        items.text = _written(node, text)
        return items
    mapping = WrittenMapping((_key(key, text), _built(value, text)) for key, value in node.value)
    mapping.text = _written(node, text)
    return mapping


def _key(node: yaml.Node, text: str) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else _written(node, text)


def _written(node: yaml.Node, text: str) -> str:
    return text[node.start_mark.index:node.end_mark.index].strip()


def check_yaml(text: str) -> None:
    """Reject YAML that would take too much memory or time: long, deep, or expanded by (recursive) aliases.

    All YAML from outside is checked before it is built. Raises ``yaml.YAMLError``.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it is longer than {MOST_CHARACTERS:,} characters")
    nodes: dict[str, int] = {}
    open_anchors: list[str | None] = []
    began: list[int] = []
    total = 0
    for event in yaml.parse(text, Loader=_QUICK_LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in open_anchors:
                raise yaml.YAMLError(f"*{event.anchor} stands inside of what it stands for")
            total += nodes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                nodes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append(event.anchor)
            began.append(total)
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, begin = open_anchors.pop(), began.pop()
            if anchor:
                nodes[anchor] = total - begin
        if total > MOST_NODES:
            raise yaml.YAMLError(f"it holds more than {MOST_NODES:,} values, aliases counted as what they stand for")
        if len(began) > MOST_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MOST_DEPTH} deep")


def read_yaml(text: str) -> Any:
    """``text`` as mappings, lists and texts; ``None`` if it is empty. Raises ``yaml.YAMLError``."""
    text = text.removeprefix(_BYTE_ORDER_MARK)  # does not count in the places of nodes
    node = _nodes(text)
    return None if node is None else _built(node, text)


def is_mapping(text: str) -> bool:
    """Whether ``text`` is a single mapping; faster than reading it. Raises ``yaml.YAMLError``."""
    return _maps(_nodes(text))


def is_grouped(text: str) -> bool:
    """Whether ``text`` is a mapping of mappings (groups); faster than reading it. Raises ``yaml.YAMLError``."""
    root = _nodes(text)
    return root is not None and _maps(root) and bool(root.value) and all(_maps(group) for _, group in root.value)


def _nodes(text: str) -> yaml.Node | None:
    check_yaml(text)
    node: yaml.Node | None = yaml.compose(text, Loader=_QUICK_LOADER)
    return node


def _maps(node: yaml.Node | None) -> bool:
    """Whether ``node`` is a plain mapping, not for example a Python object."""
    return isinstance(node, yaml.MappingNode) and node.tag == yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG


def write_yaml(values: Any) -> str:
    """``values`` of plain types as YAML that ``read_yaml`` and any other YAML reader restore unchanged."""
    try:
        return _dumped(values, _QuickDumper)
    except UnicodeEncodeError:  # half of a surrogate pair, which libyaml does not write
        return _dumped(values, _Dumper)


def _dumped(values: Any, dumper: Any) -> str:
    text: str = yaml.dump(values, Dumper=dumper, allow_unicode=True, sort_keys=False, width=1000)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a YAML 1.1 or 1.2 reader may take for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _QuickDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The same with libyaml, several times quicker."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        float(text)
    except ValueError:
        return dumper.represent_str(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")


for _dumper in (_Dumper, _QuickDumper):
    _dumper.add_representer(str, _text_node)
    _dumper.add_multi_representer(str, _text_node)


def read_typed(text: str) -> str:
    """The text after the ``=`` of ``group.name=value``, without enclosing quotes."""
    for quote in ('"', "'"):
        if len(text) > 1 and text[0] == text[-1] == quote:
            try:
                check_yaml(text)
                inner = yaml.safe_load(text)
            except yaml.YAMLError:
                break
            return str(inner)
    return Unquoted(text)


def read_list(text: str) -> list[str]:
    """The texts of ``[a, "b, c"]`` after ``group.name=``; a text without brackets is a single item."""
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return [text] if inner else []
    try:
        items = read_yaml(inner)
    except yaml.YAMLError:
        items = None  # the text contains YAML characters, such as {red|blue}
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return [str(item) for item in items]
    return [item.strip() for row in csv.reader([inner[1:-1]], skipinitialspace=True) for item in row]
