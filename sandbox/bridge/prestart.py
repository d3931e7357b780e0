"""Starts a bridge before the engine asks for one; claim.py connects the engine to it."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.bridge.claim import VARIABLE

__all__ = ["VARIABLE", "started"]

EXIT_SECONDS = 5


@contextlib.contextmanager
def started(command: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Run a prestarted bridge during this block. Yields its socket, which the engine's process needs in VARIABLE.

    The socket is in the folder for temporary files, because its path may have at most 108 bytes and a clone's can be
    longer.
    """
    with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
        socket_path = str(Path(folder) / "socket")
        process = subprocess.Popen(
            [*command, "--prestarted", socket_path],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield socket_path
        finally:
            if process.stdin:
                process.stdin.close()  # a bridge that nobody claimed then exits; a claimed one exits with the engine
            try:
                process.wait(timeout=EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
