"""Finds dead references: links, files and commands that documents and messages name, and that do not exist."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import typer
from markdown_it import MarkdownIt

from cli.app import app
from cli.exit_codes import ExitCode
from common.console import count, say

DOCUMENTS = (".md",)
SOURCES = (".py", ".sh", ".yaml", ".yml", "")  # files besides documents that name commands; scripts have no suffix
HIDDEN_FOLDERS = (".ci", ".github")  # those with files of ours
WORD = r"""'[^']*'|"[^"]*"|[^\s'"`\\|;&()\[\],]+"""
COMMAND = re.compile(rf"(?:\$ |\b|^|[`(]|\s)\./infra((?: +(?:{WORD}))+)", re.MULTILINE)
# In a Python file, a command is in backticks, in markup, or on a line of its own; elsewhere, ./infra is prose.
COMMAND_IN_PYTHON = re.compile(rf"(?:`|\[bold\]|\$\(|  )\./infra((?: +(?:{WORD}))+)")
MODULE = re.compile(r"python3? -m ([\w.]+)")
FILE = re.compile(r"(?<![\w./-])(?:\.github|\.ci|[a-z]+)/[\w./-]*\w")
PLACEHOLDER = re.compile(r"(?:^|/)[A-Z]{2,}\b")  # as in services/NAME.py
FIELD = re.compile(r"(?<=\s)(?:\{[^{}]*\})+")  # a value that an f-string inserts as a word
SUFFIX = re.compile(r"\{[^{}]*\}")  # one that it appends to a word


class Kind(StrEnum):
    """What does not exist."""

    ANCHOR = "anchor"
    COMMAND = "command"
    FILE = "file"
    MODULE = "module"


@dataclass(frozen=True, order=True)
class DeadReference:
    """A reference to something that does not exist.

    Attributes:
        file: The file that contains it, relative to the repository.
        line: Its line, or the first line of its paragraph or code block.
        kind: What is missing.
        target: What it refers to.
        reason: Details about a command, such as an unknown option; empty otherwise.
    """

    file: str
    line: int
    kind: Kind
    target: str
    reason: str = ""


@dataclass(frozen=True)
class Text:
    """A part of a document. is_code: it is in backticks or in a code block."""

    line: int
    content: str
    is_code: bool


@dataclass(frozen=True)
class Document:
    """What a Markdown file contains: links with their lines, texts, and the anchors of its headings."""

    links: tuple[tuple[int, str], ...]
    texts: tuple[Text, ...]
    anchors: frozenset[str]


def check(root: Path) -> int:
    """Print every dead reference in the repository, and return an exit code."""
    dead = dead_references(root)
    for reference in dead:
        reason = f" ({reference.reason})" if reference.reason else ""
        say(f"{reference.file}:{reference.line}: no such {reference.kind}: {reference.target}{reason}")
    if dead:
        say(f"{count(len(dead), 'dead reference')}. Correct them, then run the same command again.")
    return ExitCode.FAILED if dead else ExitCode.SUCCESS


def dead_references(root: Path) -> list[DeadReference]:
    """Return every dead reference in the repository."""
    dead: list[DeadReference] = []
    for path in files(root, DOCUMENTS):
        document = read_document(path)
        dead += dead_links(root, path, document)
        for text in document.texts:
            if text.is_code:
                dead += dead_names(root, path, text)
    for path in files(root, SOURCES):
        if path.relative_to(root).parts[0] != "tests":  # their strings are no messages to a user
            dead += dead_commands_in_source(root, path)
    return sorted(set(dead))


def files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files with one of the suffixes, without those of hidden folders such as .venv and .sandbox."""
    top = [path for path in root.iterdir() if not path.name.startswith(".") or path.name in HIDDEN_FOLDERS]
    paths = chain.from_iterable(path.rglob("*") if path.is_dir() else [path] for path in top)
    return sorted(path for path in paths if path.suffix in suffixes and path.is_file())


def read_document(path: Path) -> Document:
    """Return what a Markdown file contains."""
    links: list[tuple[int, str]] = []
    texts: list[Text] = []
    headings: list[str] = []
    line, is_heading = 0, False
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else line
        if token.type in {"fence", "code_block"}:
            first_line = line + 1 if token.type == "fence" else line
            texts.append(Text(first_line, token.content, is_code=True))
        children = token.children or []
        if is_heading:
            headings.append("".join(child.content for child in children))
        is_heading = token.type == "heading_open"
        for child in children:
            links += [(line, str(child.attrs[name])) for name in ("href", "src") if name in child.attrs]
            texts.append(Text(line, child.content, is_code=child.type == "code_inline"))
            line += child.type in {"softbreak", "hardbreak"}
    return Document(tuple(links), tuple(texts), frozenset(anchors(headings)))


def anchors(headings: list[str]) -> Iterator[str]:
    """Yield the anchors that GitHub gives to headings."""
    used: Counter[str] = Counter()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield f"{anchor}-{used[anchor]}" if used[anchor] else anchor
        used[anchor] += 1


def dead_links(root: Path, path: Path, document: Document) -> Iterator[DeadReference]:
    """Yield the links to files and headings that do not exist. Addresses on the web are not checked."""
    name = path.relative_to(root).as_posix()
    for line, link in document.links:
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        if not target.exists():
            yield DeadReference(name, line, Kind.FILE, link)
        elif parts.fragment and parts.fragment not in read_document(target).anchors:
            yield DeadReference(name, line, Kind.ANCHOR, link)


def dead_names(root: Path, path: Path, text: Text) -> Iterator[DeadReference]:
    """Yield the commands, Python modules and files in a piece of code that do not exist."""
    name = path.relative_to(root).as_posix()
    for offset, content in enumerate(text.content.splitlines()):
        line = text.line + offset
        for match in COMMAND.finditer(content):
            if reason := command_error(words_of(match[1])):
                yield DeadReference(name, line, Kind.COMMAND, f"./infra{match[1]}", reason)
        for module in MODULE.findall(content):
            if not has_module(module):
                yield DeadReference(name, line, Kind.MODULE, module)
        for file in FILE.findall(content):
            folder = root / file.partition("/")[0]
            if folder.is_dir() and not PLACEHOLDER.search(file) and not (root / file).exists():
                yield DeadReference(name, line, Kind.FILE, file)


def dead_commands_in_source(root: Path, path: Path) -> Iterator[DeadReference]:
    """Yield the commands that a program or a workflow names and that do not exist."""
    pattern = COMMAND_IN_PYTHON if path.suffix == ".py" else COMMAND
    for line, content in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for match in pattern.finditer(SUFFIX.sub("", FIELD.sub("VALUE", content))):
            if reason := command_error(words_of(match[1])):
                name = path.relative_to(root).as_posix()
                yield DeadReference(name, line, Kind.COMMAND, f"./infra{match[1]}", reason)


def words_of(text: str) -> list[str]:
    """Return the words of a command, without a comment at its end."""
    words = [word.strip("'\"") for word in re.findall(WORD, text)]
    comment = next((index for index, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def command_error(words: list[str]) -> str:
    """Return why the command line does not accept a command; empty if it does.

    Missing arguments and placeholders for values are accepted, because texts often leave them out.
    """
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while getattr(command, "commands", None) and rest and re.fullmatch(r"[a-z].*", rest[0]):
        name = rest.pop(0)
        if name not in command.commands:
            return f"unknown command {name}"
        command = command.commands[name]
    if getattr(command, "commands", None) or "--help" in rest:
        return ""
    try:
        command.make_context("./infra", rest)
    except typer.BadParameter:
        return ""
    except typer.TyperException as error:
        return str(error)
    return ""


def has_module(name: str) -> bool:
    """Tell whether Python can import a module."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
