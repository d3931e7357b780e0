"""What the sandbox says while it gets its tools: one line a step, and a line that moves for what takes minutes."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

MINUTE = 60
REPEAT_SECONDS = 30  # how often a log without a terminal is told that work goes on


def tell(message: str) -> None:
    """Print one line to standard error, so that standard output stays what was asked for."""
    sys.stderr.write(f"sandbox: {message}\n")
    sys.stderr.flush()


def elapsed(seconds: float) -> str:
    """Return a duration as people say it: `42 s` or `3 min 07 s`."""
    whole = int(seconds)
    return f"{whole} s" if whole < MINUTE else f"{whole // MINUTE} min {whole % MINUTE:02d} s"


class Progress:
    """One line about work under way: rewritten in place on a terminal, repeated now and then elsewhere."""

    def __init__(self, what: str) -> None:
        """Start the clock."""
        self.what, self.started, self.last = what, time.monotonic(), time.monotonic()
        self.live = sys.stderr.isatty()

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def show(self, detail: str) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now - self.last < (0.5 if self.live else REPEAT_SECONDS):
            return
        self.last = now
        line = f"sandbox: {self.what}: {detail}, {elapsed(self.total)}"
        sys.stderr.write(f"\r\x1b[K{line}" if self.live else line + "\n")
        sys.stderr.flush()


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Yield a Progress, and clear its line at the end."""
    line = Progress(what)
    try:
        yield line
    finally:
        if line.live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
