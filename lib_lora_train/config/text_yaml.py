"""YAML in which text stays as it is typed: what a scalar means is decided by the setting that takes it, not by YAML.

``no`` is a word where a text is wanted and false where a switch is; ``???`` and ``${x}`` mean nothing special.
"""

from __future__ import annotations

import csv
from collections.abc import Hashable
from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
MOST_NODES = 50_000  # aliases count as what they stand for
MOST_DEPTH = 50
_QUICK_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unquoted(str):
    """A scalar without quotes: a text, a number, true or false, or nothing, as the setting has it."""


class WrittenMapping(dict[Hashable, Any]):
    """A mapping; ``text`` is how it is written in the file, for a setting that wants a text such as {red|blue}."""

    text = ""


class WrittenList(list[Any]):
    """A list; ``text`` is how it is written in the file, for a setting that wants a text such as [artist]."""

    text = ""


class _Loader(yaml.SafeLoader):
    """Builds ``str``, ``Unquoted``, ``WrittenMapping`` and ``WrittenList``, and nothing else."""

    def build(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return Unquoted(node.value) if node.style is None else str(node.value)
        if isinstance(node, yaml.SequenceNode):
            items = WrittenList(self.build(item) for item in node.value)
            items.text = _written(node)
            return items
        mapping = WrittenMapping((self._key(key), self.build(value)) for key, value in node.value)
        mapping.text = _written(node)
        return mapping

    def _key(self, node: yaml.Node) -> str:
        return str(node.value) if isinstance(node, yaml.ScalarNode) else _written(node)


def _written(node: yaml.Node) -> str:
    return str(node.start_mark.buffer[node.start_mark.pointer:node.end_mark.pointer]).strip()


def check_yaml(text: str) -> None:
    """Refuse what would take too much memory or time: long, deep, or grown by aliases, also to themselves.

    Every YAML of others goes through this before it is built. Raises ``yaml.YAMLError`` that says what is wrong.
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
    """``text`` as mappings, lists and texts; ``None`` if it holds nothing. Raises ``yaml.YAMLError``."""
    check_yaml(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else loader.build(node)
    finally:
        loader.dispose()


def is_mapping(text: str) -> bool:
    """Whether ``text`` is one mapping. Quicker than to read it. Raises ``yaml.YAMLError``."""
    return _maps(_nodes(text))


def is_grouped(text: str) -> bool:
    """Whether ``text`` is groups of settings, a mapping of mappings. Quicker than to read it. Raises as above."""
    root = _nodes(text)
    return root is not None and _maps(root) and bool(root.value) and all(_maps(group) for _, group in root.value)


def _nodes(text: str) -> yaml.Node | None:
    check_yaml(text)
    node: yaml.Node | None = yaml.compose(text, Loader=_QUICK_LOADER)
    return node


def _maps(node: yaml.Node | None) -> bool:
    """Whether ``node`` is a mapping and nothing else, such as an object of Python."""
    return isinstance(node, yaml.MappingNode) and node.tag == yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG


def write_yaml(values: Any) -> str:
    """``values`` of plain kinds as YAML that ``read_yaml``, and any other reader of YAML, takes back as they are."""
    return yaml.dump(values, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Puts a text in quotes wherever a reader of YAML 1.1 or 1.2 may take it for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        float(text)
    except ValueError:
        return dumper.represent_str(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")


_Dumper.add_representer(str, _text_node)
_Dumper.add_multi_representer(str, _text_node)


def read_typed(text: str) -> str:
    """What stands after the ``=`` of ``group.name=value``: the text itself, less quotes that enclose all of it."""
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
    """The texts of ``[a, "b, c"]`` as typed after ``group.name=``; a text without brackets is the only one."""
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return [text] if inner else []
    try:
        items = read_yaml(inner)
    except yaml.YAMLError:
        items = None  # a text has signs of YAML in it, such as {red|blue}
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return [str(item) for item in items]
    return [item.strip() for row in csv.reader([inner[1:-1]], skipinitialspace=True) for item in row]
