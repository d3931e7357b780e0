"""Reads one stack's file: its values, and the line of every key. Never runs anything that the file names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from settings.problems import Location, Problem, dotted

MAXIMUM_BYTES = 1_000_000  # a real one has a few thousand; reading a huge one would only look like a hang
MAXIMUM_DEPTH = 40
CORE_TAGS = (
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
    "tag:yaml.org,2002:map",
    "tag:yaml.org,2002:seq",
)


@dataclass(frozen=True)
class Document:
    """A file's values, where each stands, and what is wrong with its writing. `Any`: what YAML holds."""

    file: str
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[Location, tuple[int, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, location: Location, message: str, shown: Location | None = None) -> Problem:
        """Return a problem at a location; where the key is missing, at the nearest that is there."""
        at = location
        while at and at not in self.places:
            at = at[:-1]
        line, column = self.places.get(at, (0, 0))
        return Problem(self.file, line, column, dotted(shown if shown is not None else location), message)


def read(path: Path) -> Document:
    """Return a file's document; every problem of its writing is in it, none is raised."""
    name = path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        return Document(name, problems=(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"),))
    if len(data) > MAXIMUM_BYTES:
        return Document(name, problems=(Problem(name, 0, 0, "", f"is {len(data):,} bytes long; a stack's file has some thousands. Is it the right file?"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Document(name, problems=(Problem(name, line, 0, "", "is not UTF-8 text here: save it as UTF-8"),))
    return parse(name, text)


def parse(name: str, text: str) -> Document:
    """Return the document of a text."""
    line = next((number for number, content in enumerate(text.splitlines(), 1) if content[: len(content) - len(content.lstrip())].count("\t")), 0)
    if line:
        return Document(name, problems=(Problem(name, line, 1, "", "is indented with a tab, which YAML does not take: use spaces"),))
    try:
        root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return Document(name, problems=(Problem(name, line, column, "", f"is not YAML here: {error.problem or error.context}"),))
    except (YAMLError, YAMLStreamError, ValueError, RecursionError) as error:
        return Document(name, problems=(Problem(name, 0, 0, "", f"is not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}"),))
    if root is None:
        return Document(name, problems=(Problem(name, 0, 0, "", "is empty: an environment without settings would be one without anything. Copy another environment's file"),))
    if not isinstance(root, MappingNode):
        return Document(name, problems=(Problem(name, 1, 1, "", "must be a map with the key `config`"),))
    reader = Reader(name)
    values = reader.value(root, ())
    return Document(name, values if isinstance(values, dict) else {}, reader.places, tuple(reader.problems))


class Reader:
    """Turns YAML's nodes into plain values, noting the place of each and refusing what a settings file has no use for."""

    def __init__(self, name: str) -> None:
        """Start with nothing read."""
        self.name = name
        self.places: dict[Location, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self.seen: set[int] = set()

    def refuse(self, node: Node, location: Location, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.name, node.start_mark.line + 1, node.start_mark.column + 1, dotted(location), message))

    def value(self, node: Node, location: Location) -> Any:
        """Return a node's value."""
        self.places.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
        if node.anchor or id(node) in self.seen:
            self.refuse(node, location, "uses an anchor or an alias: what belongs to one service would change with another. Write the value out")
            if id(node) in self.seen:
                return None
        self.seen.add(id(node))
        if len(location) > MAXIMUM_DEPTH:
            self.refuse(node, location[:3], "is nested too deeply to be a setting")
            return None
        tag = str(node.tag or "")
        if tag not in CORE_TAGS:
            self.refuse(node, location, f"has the tag {tag}, which stands for something that is run or converted: write a plain value")
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, location)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        return scalar(node)

    def mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        """Return a map's values; a key that stands twice is refused, as the first would be lost silently."""
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            if not isinstance(key_node, ScalarNode) or key == "<<":
                self.refuse(key_node, location, "has a key that is not a plain word")
                continue
            if key in out:
                self.refuse(key_node, (*location, key), "stands twice here; the first would be lost. Keep one of the two")
                continue
            self.places[(*location, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            out[key] = self.value(value_node, (*location, key))
        return out


def scalar(node: Node) -> Any:
    """Return a scalar as YAML 1.2 reads it."""
    text, kind = str(node.value), str(node.tag).rsplit(":", 1)[-1]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int":
            return int(text.replace("_", ""), 0) if not text.lstrip("+-").isdigit() else int(text)
        if kind == "float":
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan"))
    except ValueError:
        return text
    return text
