"""The `release` block of one service, as text: finding it in an environment file and replacing it, byte for byte."""

import re
from dataclasses import dataclass

from release.errors import RefusedError, Rule, refused
from settings.project_files import SERVICES_KEY

BLOCK_SCALAR = re.compile(r"[:-]\s+[|>][+-]?\d?[+-]?\s*(#.*)?$")  # what opens a literal or folded text
SERVICES_LINE = f"  {SERVICES_KEY}:"


@dataclass(frozen=True)
class LineRange:
    """The lines of a block, as indices into the file's lines: from its key up to, but not including, `end`."""

    start: int
    end: int


def invalid_block(message: str) -> RefusedError:
    """Return the error for a block that cannot be located or moved."""
    return refused(Rule.INVALID_BLOCK, message)


def indentation(line: str) -> int:
    """Return the number of spaces at the start of a line."""
    return len(line) - len(line.lstrip(" "))


def is_content(line: str) -> bool:
    """Tell whether a line is neither blank nor only a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def block_end(lines: list[str], start: int) -> int:
    """Return the end of the block that a key opens. Blank lines and comments behind its last line do not belong to it.

    Inside a literal or folded text, a line that starts with # is text.
    """
    end, text_depth = start + 1, None
    for index in range(start + 1, len(lines)):
        line = lines[index]
        if text_depth is not None and line.strip() and indentation(line) > text_depth:
            end = index + 1
            continue
        if not is_content(line):
            continue
        if indentation(line) <= indentation(lines[start]):
            break
        end = index + 1
        text_depth = indentation(line) if BLOCK_SCALAR.search(line.rstrip()) else None
    return end


def child_block(lines: list[str], parent: LineRange, key: str) -> LineRange | None:
    """Return the block of a key directly below another key, or None."""
    content = [index for index in range(parent.start + 1, parent.end) if is_content(lines[index])]
    depth = indentation(lines[content[0]]) if content else 0
    pattern = re.compile(rf"^(['\"]?){re.escape(key)}\1:(\s|$)")
    for index in content:
        if indentation(lines[index]) == depth and pattern.match(lines[index].lstrip()):
            return LineRange(index, block_end(lines, index))
    return None


def find(text: str, service: str, file: str) -> tuple[list[str], LineRange]:
    """Return a file's lines and where the service's release is in them."""
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if line.startswith(SERVICES_LINE)), None)
    if start is None:
        raise invalid_block(f"{file} has no line `{SERVICES_LINE.strip()}`, so it configures no services")
    service_block = child_block(lines, LineRange(start, block_end(lines, start)), service)
    if service_block is None:
        raise invalid_block(
            f"{file} does not configure the service {service}. Add it first (docs/new-service.md):\n"
            f"  ./infra new service {service}"
        )
    release = child_block(lines, service_block, "release")
    if release is None or lines[release.start].split(":", 1)[1].split("#")[0].strip():
        raise invalid_block(
            f"the release of {service} in {file} is not a block with one key per line, so it cannot be moved. "
            "Write each of its keys on a line of its own"
        )
    return lines, release


def release_text(text: str, service: str, file: str) -> str:
    """Return a service's release exactly as it is written, including its first line and its indentation."""
    lines, block = find(text, service, file)
    return "".join(lines[block.start : block.end])


def with_release(text: str, service: str, block: str, file: str) -> str:
    """Return a file's text with a service's release replaced by `block`, indented like the release it replaces."""
    lines, current = find(text, service, file)
    shift = indentation(lines[current.start]) - indentation(block)
    line_end = "\r\n" if lines[current.start].endswith("\r\n") else "\n"

    def shifted(line: str) -> str:
        return (" " * (indentation(line) + shift) + line.lstrip(" ") if line.strip() else "") + line_end

    replacement = [shifted(line) for line in block.splitlines()]
    if not lines[current.end - 1].endswith(("\n", "\r")) and current.end == len(lines):
        replacement[-1] = replacement[-1].rstrip("\r\n")
    return "".join([*lines[: current.start], *replacement, *lines[current.end :]])
