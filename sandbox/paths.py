"""Where the sandbox keeps its things: what belongs to a clone in `.sandbox/`, what a machine needs once in a user cache."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.console import tell
from sandbox.errors import SandboxError

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "100xglobal"
SILENT_SECONDS = 2  # who waits for less is not worth a line


def user_cache() -> Path:
    """Return the folder for what is built once a machine: engine, emulator, name tables."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "100xglobal-infra"


@dataclass(frozen=True)
class Paths:
    """The folders of one clone's sandbox."""

    base: Path = ROOT / ".sandbox"

    @property
    def home(self) -> Path:
        """PULUMI_HOME: plugins, and no credentials of the user."""
        return self.base / "home"

    @property
    def state(self) -> Path:
        """Pulumi's file backend."""
        return self.base / "state"

    @property
    def program(self) -> Path:
        """Pulumi.yaml and the stacks' files as the sandbox runs them (see sandbox/stack_files.py)."""
        return self.base / "program"

    @property
    def emulator(self) -> Path:
        """The emulated AWS: its state, log and process record."""
        return self.base / "emulator"

    @property
    def tools(self) -> Path:
        """The record of the tools that were found or made, so that they are looked for once."""
        return self.base / "tools.json"

    def create(self) -> None:
        """Make the folders, readable by their owner only: state and plans may hold what is private."""
        try:
            for folder in (self.base, self.home / "plugins", self.state, self.program, self.emulator):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot write to {self.base} ({error.strerror}): the sandbox keeps its state there. Use a clone in a folder of your own."
            raise SandboxError(message) from error


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    temporary = path
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")  # mode 0600; threads of one process write too
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        if temporary != path:
            temporary.unlink(missing_ok=True)
        message = f"cannot write {path}: {error.strerror}. Nothing was changed; make room or mend the permissions and run it again."
        raise SandboxError(message) from error


def read_json(path: Path) -> Mapping[str, object]:
    """Return a JSON object, or an empty one where the file is missing or was cut off."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def only_one(lock: Path, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; say so when another process has it. The system frees it if the holder dies."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("w", encoding="utf-8") as file:
        told, began = False, time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told and time.monotonic() - began > SILENT_SECONDS:
                    tell(f"waiting for another process: {waiting_for}")
                    told = True
                time.sleep(0.2)
        yield
