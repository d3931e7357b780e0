"""Pulumi's log of the events of an update, from which the next command learns what failed without an answer from AWS.

The log is kept until then if the update fails. Pulumi replaces secrets in it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = "events.jsonl"


def options(folder: Path) -> list[str]:
    """Return Pulumi's options that make it write a new log. folder: where this machine notes what it deployed.

    The option is one of Pulumi's for debugging, which its Automation API uses as well.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    forget(folder)
    return ["--event-log", str(folder / FILE)]


def read(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the events of the last update that failed. The last line of a killed process can be incomplete."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def forget(folder: Path) -> None:
    """Delete the log."""
    (folder / FILE).unlink(missing_ok=True)
