"""Reads an environment file: its values, and the position of every key. It never runs anything that a file names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from settings.problems import Location, Problem, Rule, format_location

MAXIMUM_BYTES = 1_000_000  # parsing a file of many megabytes takes minutes and would look as if the command hung
MAXIMUM_DEPTH = 40
UNUSUAL_BREAKS = "\x85\u2028\u2029"
PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
# Plain text that YAML 1.1, which Pulumi's library partly follows, reads as a number.
OTHER_YAML = re.compile(r"[+-]?0[bo]?[0-9_]+|[+-]?[0-9][0-9_]*_[0-9_]*")
CORE_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))


@dataclass(frozen=True)
class YamlDocument:
    """The content of a file.

    values: its keys; empty if it cannot be read. `Any`: whatever YAML can contain.
    positions: the line and column of each key and list item, counted from 1.
    problems: what is wrong with the file and its YAML, whatever the values mean.
    """

    file: str
    values: Mapping[str, Any] = field(default_factory=dict)
    positions: Mapping[Location, tuple[int, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, location: Location, rule: Rule, message: str, path: Location | None = None) -> Problem:
        """Return a problem at a location; if the key is missing, at the position of the nearest parent.

        path: the location to show, if it differs from the one in the file.
        """
        known = location
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (0, 0))
        return Problem(self.file, line, column, format_location(location if path is None else path), message, rule)


def read(path: Path) -> YamlDocument:
    """Return a file's content. Nothing is raised: a file that cannot be read is a problem of the document."""
    name = path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        return _unusable(name, Rule.UNREADABLE_FILE, f"the file cannot be read: {error.strerror}.")
    if len(data) > MAXIMUM_BYTES:
        message = f"the file has {len(data):,} bytes; an environment file has a few thousand. Is this the right file?"
        return _unusable(name, Rule.FILE_TOO_LARGE, message)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return _unusable(name, Rule.NOT_UTF_8, "the line is not UTF-8 text. Save the file as UTF-8.", line)
    return parse(name, text)


def parse(name: str, text: str) -> YamlDocument:
    """Return the content of a text that the file `name` contains."""
    if line := _first_line_with_tab(text):
        message = "the line is indented with a tab, which YAML does not allow. Use spaces."
        return _unusable(name, Rule.TAB_INDENTATION, message, line, 1)
    if line := _first_line_with_unusual_break(text):
        message = "the line has a line break that only some programs treat as one. Replace it with a space."
        return _unusable(name, Rule.UNUSUAL_LINE_BREAK, message, line, 1)
    try:
        root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return _unusable(name, Rule.INVALID_YAML, f"invalid YAML: {error.problem or error.context}.", line, column)
    except (YAMLError, YAMLStreamError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return _unusable(name, Rule.INVALID_YAML, f"invalid YAML: {reason}.")
    if root is None:
        message = (
            "the file is empty, so the environment would have no resources. "
            "Start from a copy of another environment's file."
        )
        return _unusable(name, Rule.EMPTY_FILE, message)
    if not isinstance(root, MappingNode):
        return _unusable(name, Rule.MISSING_CONFIG, "the file must be a map with the key `config`.", 1, 1)
    reader = _NodeReader(name)
    values = reader.value(root, ())
    return YamlDocument(
        name, values if isinstance(values, dict) else {}, reader.positions, problems=tuple(reader.problems)
    )


def _unusable(name: str, rule: Rule, message: str, line: int = 0, column: int = 0) -> YamlDocument:
    """Return the document of a file without usable content."""
    return YamlDocument(name, problems=(Problem(name, line, column, "", message, rule),))


def _first_line_with_tab(text: str) -> int:
    """Return the number of the first line that is indented with a tab, or 0."""
    for number, line in enumerate(text.splitlines(), 1):
        indentation = line[: len(line) - len(line.lstrip())]
        if "\t" in indentation:
            return number
    return 0


def _first_line_with_unusual_break(text: str) -> int:
    """Return the number of the first line with NEL, LS or PS, which YAML 1.1 breaks and YAML 1.2 does not; or 0."""
    lines = enumerate(text.split("\n"), 1)
    return next((number for number, line in lines if any(character in line for character in UNUSUAL_BREAKS)), 0)


class _NodeReader:
    """Turns YAML nodes into plain values. It records their positions, and refuses YAML that settings do not need."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: dict[Location, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.visited: set[int] = set()

    def report(self, node: Node, location: Location, rule: Rule, message: str) -> None:
        """Record a problem at a node."""
        line, column = _position(node)
        self.problems.append(Problem(self.name, line, column, format_location(location), message, rule))

    def value(self, node: Node, location: Location) -> Any:
        """Return a node's value; None if it is refused."""
        self.positions.setdefault(location, _position(node))
        is_alias = id(node) in self.visited
        if node.anchor or is_alias:
            message = (
                "YAML anchors and aliases are not allowed: a change to one service would silently change another. "
                "Write the value out."
            )
            self.report(node, location, Rule.YAML_ANCHOR, message)
            if is_alias:
                return None  # reading it again could take exponential time
        self.visited.add(id(node))
        if len(location) > MAXIMUM_DEPTH:
            message = f"the value is nested more than {MAXIMUM_DEPTH} levels deep, which no setting is."
            self.report(node, location[:3], Rule.NESTED_TOO_DEEPLY, message)
            return None
        tag = str(node.tag or "")
        if tag not in CORE_TAGS:
            message = f"the YAML tag {tag} is not allowed: tags can run code or convert values. Write a plain value."
            self.report(node, location, Rule.YAML_TAG, message)
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, location)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and is_ambiguous(node):
            message = (
                f"`{str(node.value)[:40]}` means different things to different versions of YAML. Write a number with "
                "decimal digits only and without a leading zero, true or false, or put text in quotes."
            )
            self.report(node, location, Rule.AMBIGUOUS_VALUE, message)
            return None
        return _scalar(node)

    def mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        """Return a map's values."""
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            if not isinstance(key_node, ScalarNode) or key == "<<":
                message = "a key must be plain text, not a list, a map or the merge key `<<`."
                self.report(key_node, location, Rule.INVALID_KEY, message)
            elif key in values:
                message = "the key appears twice, and one of the two values would be silently ignored. Remove one."
                self.report(key_node, (*location, key), Rule.DUPLICATE_KEY, message)
            else:
                self.positions[*location, key] = _position(key_node)
                values[key] = self.value(value_node, (*location, key))
        return values


def is_ambiguous(node: ScalarNode) -> bool:
    """Tell whether Pulumi, which reads YAML with another library, might read another value: octal numbers and the like.

    A node without a style is plain text, without quotes.
    """
    text, kind = str(node.value), str(node.tag).rsplit(":", 1)[-1]
    if node.style in {"'", '"', "|", ">"}:
        return kind != "str"  # an explicit tag, such as !!int "5"
    if kind in {"int", "float"}:
        return not PLAIN_NUMBER.fullmatch(text)
    if kind == "bool":
        return text.lower() not in {"true", "false"}
    return kind == "str" and bool(OTHER_YAML.fullmatch(text))


def _position(node: Node) -> tuple[int, int]:
    """Return the line and column of a node, counted from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _scalar(node: Node) -> Any:
    """Return a scalar that is not ambiguous."""
    text, kind = str(node.value), str(node.tag).rsplit(":", 1)[-1]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    return float(text) if kind == "float" else text
