"""Partial responses: the ``fields`` parameter, ``name,metadata(state)`` or ``responses/error.code``. No I/O here.

Published: https://cloud.google.com/apis/docs/system-parameters, and the partial responses of Google's older APIs, whose
slashes, parentheses and asterisks are understood as well. A name may be the JSON or the proto one.
"""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor

from vision_grpc.emulator.refusal import Refused, invalid, shown

_TOKEN = re.compile(r"\s*([\w*@$-]+|[/.,()])\s*")
_MAX_DEPTH = 32
# Below these, names are not known beforehand.
_OPEN = {"google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}

Tree = dict[str, "Tree"]


def selection(text: str, reply: Descriptor) -> Tree:
    """Returns the wanted fields of a reply by their JSON names, an empty tree for all. Raises Refused."""
    if not text.strip():
        return {}
    return _named(_Parser(text).parse(), reply)


def select(tree: Tree, value: Any, *, typed: bool = False) -> Any:
    """Returns what a tree leaves of a JSON value; with ``typed`` every Any keeps its type, without which it is no message."""
    if not tree:
        return value
    if isinstance(value, list):
        return [select(tree, item, typed=typed) for item in value]
    if isinstance(value, dict):
        wanted = tree | {"@type": {}} if typed else tree
        return {
            name: select(wanted.get(name, wanted.get("*", {})), item, typed=typed)
            for name, item in value.items()
            if name in wanted or "*" in wanted
        }
    return value


class _Parser:
    """Recursive descent over ``item {"," item}``, ``item = name {("/"|".") name} ["(" list ")"]``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._malformed()
            self._tokens.append(match[1])
            position = match.end()

    def parse(self) -> Tree:
        tree = self._list(0)
        if self._tokens:
            raise self._malformed()
        return tree

    def _list(self, depth: int) -> Tree:
        if depth > _MAX_DEPTH:
            raise self._malformed()
        tree: Tree = {}
        while True:
            self._item(tree, depth)
            if not self._next(","):
                return tree

    def _item(self, tree: Tree, depth: int) -> None:
        path = [self._name()]
        while self._next("/") or self._next("."):
            path.append(self._name())
        below: Tree = {}
        if self._next("("):
            below = self._list(depth + 1)
            if not self._next(")"):
                raise self._malformed()
        if depth + len(path) > _MAX_DEPTH:
            raise self._malformed()
        for name in reversed(path):
            below = {name: below}
        _merge(tree, below)

    def _name(self) -> str:
        if not self._tokens or self._tokens[0] in "/.,()":
            raise self._malformed()
        return self._tokens.pop(0)

    def _next(self, token: str) -> bool:
        found = self._tokens[:1] == [token]
        if found:
            del self._tokens[0]
        return found

    def _malformed(self) -> Refused:
        return invalid(f"fields {shown(self._text)} is malformed; give names as in name,metadata(state).")  # ours


def _merge(tree: Tree, more: Mapping[str, Tree]) -> None:
    for name, below in more.items():
        if name in tree and (not below or not tree[name]):
            # A field once wanted whole stays whole.
            tree[name] = {}
        elif name in tree:
            _merge(tree[name], below)
        else:
            tree[name] = below


def _named(tree: Tree, message: Descriptor) -> Tree:
    if message.full_name in _OPEN or message.GetOptions().map_entry:
        return tree
    known = {name: field for field in message.fields for name in (field.name, field.json_name)}
    found: Tree = {}
    for name, below in tree.items():
        if name == "*":
            _merge(found, {"*": below})
            continue
        field = known.get(name)
        if field is None:
            raise _unknown(name)
        if below and field.message_type is None:
            raise _unknown(next(iter(below)))
        _merge(found, {field.json_name: _named(below, field.message_type) if below and field.message_type else {}})
    return found


def _unknown(name: str) -> Refused:
    return invalid(f"Invalid field selection {shown(name)}")  # the older APIs' words
