"""Files that are written whole, read leniently, or used as locks."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from common.console import say
from common.errors import InfraError

ROOT = Path(__file__).resolve().parent.parent
PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
SILENT_WAIT_SECONDS = 2  # shorter waits are not worth a line


def user_cache() -> Path:
    """Return the folder for what this machine builds once and all clones share: engine, emulator, name tables."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "100xglobal-infra"


def write_atomically(path: Path, content: bytes, default_mode: int = PUBLIC_MODE) -> None:
    """Replace a file's content, or leave the file as it was: readers never see half of it.

    default_mode: the permissions of a new file; an existing file keeps its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else default_mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    try:
        write_atomically(path, text.encode("utf-8"), PRIVATE_MODE)
    except OSError as error:
        message = (
            f"cannot write {path}: {error.strerror}. The file is unchanged.\n"
            "Free some space or fix the permissions, then run the same command again."
        )
        raise InfraError(message) from error


def read_json(path: Path) -> Mapping[str, object]:
    """Return a JSON object; an empty one if the file is missing or truncated."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def exclusive_lock(path: Path, purpose: str, announce: Callable[[str], None] = say) -> Iterator[None]:
    """Hold an exclusive lock on a file, and say so when another process has it. The system frees it if the holder dies.

    purpose: what the other process is doing, as in `is installing the sandbox's tools`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=SILENT_WAIT_SECONDS)
    except Timeout:
        announce(f"waiting for another process that {purpose}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
