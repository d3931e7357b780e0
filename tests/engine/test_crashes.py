"""What happens if Pulumi is interrupted, or a program that it needs dies, during `up`.

The tests run in this order: each of them leaves the environment as the next one expects it.
"""

import os
import signal

from cli.exit_codes import ExitCode
from sandbox.emulator import process as emulator
from tests.engine.conftest import Clone
from tests.engine.small_environment import SHUTDOWN_SECONDS, assert_nothing_exists_twice, processes_of, start_up


def test_up_fails_if_the_emulator_is_killed_and_keeps_what_was_created(small: Clone) -> None:
    """`up` ends with exit code 1 and names the emulator's log, and the state keeps all resources."""
    process = start_up(small, 60)
    running = emulator.find(small.paths)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    assert f"(process {running.pid})" in output
    assert str(emulator.log_file(small.paths)) in output
    assert "Traceback" not in output
    assert len(small.state("alpha")) >= 60


def test_a_terminated_up_waits_for_pulumi(small: Clone) -> None:
    """A canceled CI job terminates `./infra` alone. Pulumi completes what it is doing, and nothing is pending."""
    process = start_up(small, len(small.state("alpha")) + 5)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    assert "  ./infra up alpha\n" in output
    assert small.lock_files("alpha") == []
    assert not small.deployment("alpha").get("pending_operations")


def test_up_can_be_interrupted_and_continued(small: Clone) -> None:
    """After Ctrl-C, `up` names the command that continues; that command completes the environment."""
    process = start_up(small, len(small.state("alpha")) + 5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode not in {ExitCode.SUCCESS, None}
    assert "  ./infra up alpha\n" in output
    assert "Traceback" not in output
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert "socket" in done.stdout
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS
    assert_nothing_exists_twice(small)


def test_up_continues_after_the_provider_was_killed(small: Clone) -> None:
    """Pulumi records that creations failed; `up` asks AWS whether they did."""
    small.edit("Pulumi.alpha.yaml", "    events:\n      enabled: false", "    events:\n      enabled: true")
    process = start_up(small, len(small.state("alpha")) + 5)
    for pid in processes_of(small, "sandbox.bridge"):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert_nothing_exists_twice(small)
