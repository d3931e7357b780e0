"""Messages about work in progress. They go to standard error, so that standard output holds only what was asked for."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

SECONDS_PER_MINUTE = 60
LOG_INTERVAL_SECONDS = 30  # how often a log file, which has no moving line, gets a sign of life


def say(message: str, source: str = "infra") -> None:
    """Print one line. source: who is speaking, `infra` or `sandbox`; it becomes the prefix."""
    sys.stderr.write(f"{source}: {message}\n")
    sys.stderr.flush()


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 change`, `2 changes`. plural: for nouns that do not just take an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def format_duration(seconds: float) -> str:
    """Return a duration such as `42 s` or `3 min 07 s`."""
    whole = int(seconds)
    if whole < SECONDS_PER_MINUTE:
        return f"{whole} s"
    return f"{whole // SECONDS_PER_MINUTE} min {whole % SECONDS_PER_MINUTE:02d} s"


class Progress:
    """The state of one long-running step: a spinner on a terminal, an occasional line in a log."""

    def __init__(self, description: str, source: str) -> None:
        """Start the clock."""
        self.description, self.source = description, source
        self.started = self.last_line = time.monotonic()
        self.status: Status | None = None
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 commands that show no progress start faster without rich

            self.status = Console(stderr=True).status(f"{source}: {description}")
            self.status.start()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def show(self, detail: str) -> None:
        """Report how far the step has come."""
        line = f"{self.source}: {self.description}: {detail}, {format_duration(self.elapsed_seconds)}"
        if self.status:
            self.status.update(line)
        elif time.monotonic() - self.last_line >= LOG_INTERVAL_SECONDS:
            self.last_line = time.monotonic()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Remove the spinner."""
        if self.status:
            self.status.stop()


@contextmanager
def progress(description: str, source: str = "infra") -> Iterator[Progress]:
    """Show that a step is running for as long as the block takes."""
    step = Progress(description, source)
    try:
        yield step
    finally:
        step.close()
