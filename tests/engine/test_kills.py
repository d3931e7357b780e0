"""What happens after Pulumi, `./infra` and all plugins were killed: the same command continues.

The tests run in this order: each of them leaves the environment as the next one expects it.
"""

import time

from cli.exit_codes import ExitCode
from tests.engine.conftest import Clone, resource_name
from tests.engine.small_environment import (
    assert_nothing_exists_twice,
    kill_everything,
    resource_counts,
    start_up,
)

KILL_DOWN_AFTER_SECONDS = 8


def test_a_killed_first_up_continues(small: Clone) -> None:
    """The gate still knows that the environment was empty, so the same command creates the rest."""
    kill_everything(small, start_up(small, 60))
    assert small.deployment("alpha").get("pending_operations")
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert_nothing_exists_twice(small)


def test_the_same_command_continues_after_a_kill(small: Clone) -> None:
    """`up` removes the dead lock, asks AWS about each operation that did not complete, and creates nothing twice."""
    small.edit("Pulumi.alpha.yaml", "    members:\n      enabled: false\n", "    members:\n")
    process = start_up(small, len(small.state("alpha")) + 25)
    kill_everything(small, process)
    assert len(small.lock_files("alpha")) == 1
    pending = [operation["resource"]["urn"] for operation in small.deployment("alpha")["pending_operations"]]
    assert pending
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert small.lock_files("alpha") == []
    assert [urn for urn in pending if f"  {resource_name(urn)}: " not in done.stdout] == []
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS
    assert_nothing_exists_twice(small)


def test_a_killed_down_continues(small: Clone) -> None:
    """Nothing is left, neither in the state nor in AWS."""
    process = small.start("down", "alpha")
    time.sleep(KILL_DOWN_AFTER_SECONDS)
    kill_everything(small, process)
    assert small.state("alpha")
    done = small.infra("down", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert small.state("alpha") == []
    assert set(resource_counts(small).values()) == {0}
