"""Pulumi's property paths, such as `rules[0].port`: which ones differ, and what `ignoreChanges` puts back.

Values are JSON-like and have no fixed type, hence `Any`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

Change = Literal["add", "delete", "update"]
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
STEP = re.compile(r'([^.\[\]"]+)(?=[.\[]|$)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]')
ANY = "*"


def differing_paths(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Change]]:
    """Yield the property paths that differ, each with how it changes. path: where the two values are.

    A missing value and an empty one are the same: Terraform's older resources plan what is not set as empty.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            step = (f"{path}.{key}" if IDENTIFIER.fullmatch(key) else f'{path}["{key}"]').lstrip(".")
            if key in old and key in new:
                yield from differing_paths(old[key], new[key], step)
            elif not is_empty(old.get(key, new.get(key))):
                yield step, "delete" if key in old else "add"
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            step = f"{path}[{index}]"
            if index >= len(old):
                yield step, "add"
            elif index >= len(new):
                yield step, "delete"
            else:
                yield from differing_paths(old[index], new[index], step)
    elif old != new:
        yield path, "update"


def is_empty(value: Any) -> bool:
    """Tell whether a value is what Terraform's older resources have for one that is not set."""
    return value in ("", [], {}) or (isinstance(value, int | float) and value == 0)


def first_step(path: str) -> str:
    """Return the property at the beginning of a path."""
    return re.split(r"[.\[]", path)[0]


def parse_path(path: str) -> list[str | int]:
    """Return the steps of a property path: `tags["a.b"]`, `rules[0].port` or `rules[*].port`."""
    steps: list[str | int] = []
    for name, index, quoted_name in STEP.findall(path):
        steps.append(name or (int(index) if index.isdigit() else index) or quoted_name)
    return steps


def restore(inputs: Any, prior: Any, steps: Sequence[str | int]) -> Any:
    """Return the inputs with the prior value at one path."""
    if not steps:
        return prior
    step, rest = steps[0], steps[1:]
    if isinstance(inputs, list) and isinstance(prior, list):
        indexes = range(min(len(inputs), len(prior))) if step == ANY else [step]
        return [
            restore(item, prior[index], rest) if index in indexes and index < len(prior) else item
            for index, item in enumerate(inputs)
        ]
    if not isinstance(prior, dict | type(None)) or not isinstance(inputs, dict | type(None)):
        return inputs
    inputs, prior = dict(inputs or {}), prior or {}
    for key in sorted({*inputs, *prior}) if step == ANY else [str(step)]:
        if key in prior:
            inputs[key] = restore(inputs.get(key), prior[key], rest)
        elif not rest:
            inputs.pop(key, None)
    return inputs
