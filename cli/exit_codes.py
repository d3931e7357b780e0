"""The exit codes of the commands that deploy; docs/promotion.md documents them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What an exit code means."""

    SUCCESS = 0
    FAILED = 1
    USAGE = 2
    GATE_FAILED = 3
    LOCKED = 4
    UNHEALTHY = 5
    # The engine could not be installed. 0 would look like a complete run, 1 like a failed test.
    INCOMPLETE_TEST_RUN = 6
    INTERRUPTED = 130  # what shells use for a command that Ctrl-C ended
