"""Finds and replaces one service's `release` block in a stack's file; every other byte stays as it is."""

import re
from dataclasses import dataclass

SERVICES_LINE = "  100xglobal:services:"


class BlockError(Exception):
    """The block cannot be found or replaced; the text names the file, the service and the way out."""


@dataclass(frozen=True)
class Place:
    """The lines of a block, as indices into the file's lines: from its key to the line after its last."""

    start: int
    end: int


def depth(line: str) -> int:
    """Return a line's indentation."""
    return len(line) - len(line.lstrip(" "))


def block_end(lines: list[str], start: int) -> int:
    """Return where the block that a key opens ends: before the next line that is not deeper; blank lines and comments after it are not its."""
    end, here = start + 1, depth(lines[start])
    for index in range(start + 1, len(lines)):
        text = lines[index].strip()
        if not text or text.startswith("#"):
            continue
        if depth(lines[index]) <= here:
            break
        end = index + 1
    return end


def child(lines: list[str], parent: Place, key: str) -> Place | None:
    """Return the block of a key right below another."""
    inner = next((depth(lines[index]) for index in range(parent.start + 1, parent.end) if lines[index].strip() and not lines[index].lstrip().startswith("#")), 0)
    for index in range(parent.start + 1, parent.end):
        if depth(lines[index]) == inner and re.match(rf"^(['\"]?){re.escape(key)}\1:(\s|$)", lines[index].lstrip()):
            return Place(index, block_end(lines, index))
    return None


def find(text: str, service: str, file: str) -> tuple[list[str], Place]:
    """Return a file's lines and the place of a service's release in them."""
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if line.startswith(SERVICES_LINE)), None)
    if start is None:
        raise BlockError(f"{file} has no line `{SERVICES_LINE.strip()}`")
    block = child(lines, Place(start, block_end(lines, start)), service)
    if block is None:
        raise BlockError(f"{file} has no service {service}: write its block first (`./infra new service`, docs/new-service.md)")
    release = child(lines, block, "release")
    if release is None or lines[release.start].split(":", 1)[1].split("#")[0].strip():
        raise BlockError(f"the release of {service} in {file} is not a block of lines of its own, which is how it is moved: write its keys one a line")
    return lines, release


def release_text(text: str, service: str, file: str) -> str:
    """Return a service's release as it is written, its first line and indentation included."""
    lines, place = find(text, service, file)
    return "".join(lines[place.start : place.end])


def with_release(text: str, service: str, block: str, file: str) -> str:
    """Return a file's text with a service's release replaced by a block, indented as the file's own is."""
    lines, place = find(text, service, file)
    shift = depth(lines[place.start]) - depth(block)
    ending = "\r\n" if lines[place.start].endswith("\r\n") else "\n"
    moved = [(" " * (depth(line) + shift) + line.lstrip(" ") if line.strip() else "") + ending for line in block.splitlines()]
    if not lines[place.end - 1].endswith(("\n", "\r")) and place.end == len(lines):
        moved[-1] = moved[-1].rstrip("\r\n")
    return "".join([*lines[: place.start], *moved, *lines[place.end :]])
