"""Notes on this machine which update it has begun, for the case that it is killed before Pulumi records it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.files import read_json, write_private
from release.unfinished import Attempt

FILE = "attempt.json"


@contextmanager
def noted(folder: Path, config: Mapping[str, Any], *, was_empty: bool) -> Iterator[None]:
    """Note an update while it runs. folder: where this machine notes what it deployed to the stack.

    An attempt to continue a killed first update still counts as one that began with an empty environment.
    """
    earlier = find(folder)
    started = earlier.started if earlier and earlier.was_empty else datetime.now(UTC)
    is_first = was_empty or bool(earlier and earlier.was_empty)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = {"started": started.isoformat(), "config": dict(config), "was_empty": is_first}
    write_private(folder / FILE, json.dumps(note))
    try:
        yield
    finally:
        (folder / FILE).unlink(missing_ok=True)


def find(folder: Path) -> Attempt | None:
    """Return the update that was begun and did not end, or None."""
    note = read_json(folder / FILE)
    config = note.get("config")
    if not isinstance(config, dict):
        return None
    return Attempt(datetime.fromisoformat(str(note["started"])), config, bool(note["was_empty"]))
