"""A bridge that is started before the engine asks for one; see claim.py for who takes it."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.bridge.claim import VARIABLE

__all__ = ["VARIABLE", "started"]


END_SECONDS = 5


@contextlib.contextmanager
def started(command: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Start a spare bridge for what runs in this block; yield what VARIABLE must be for the engine to take it.

    The folder is made where temporary files are: the path of a socket has at most 108 bytes, and a clone's can be longer.
    """
    with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
        path = str(Path(folder) / "socket")
        process = subprocess.Popen(
            [*command, "--spare", path], env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield path
        finally:
            if process.stdin:
                process.stdin.close()  # one that nobody took ends with it; one that was taken, with the engine
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
