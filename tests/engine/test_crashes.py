"""What happens if something dies during `up`. The environment is small, so that it can die often.

The tests run in this order: each of them leaves the environment as the next one expects it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from cli.exit_codes import ExitCode
from sandbox.emulator import process as emulator
from sandbox.session import PARALLEL, Session
from tests.engine.conftest import Clone, make_clone, only_socket

SHUTDOWN_SECONDS = 120
CREATION_SECONDS = 180


@pytest.fixture(scope="module")
def small(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone in which alpha has the foundation and socket, the service without data."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("small clone"))
    path = clone.root / "Pulumi.alpha.yaml"
    path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    yield clone
    emulator.stop(clone.paths)


def start_up(clone: Clone, resources: int) -> "subprocess.Popen[str]":
    """Start `up`; return it as soon as the state has this many resources."""
    process = clone.start("up", "alpha")
    deadline = time.monotonic() + CREATION_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(clone.state("alpha")) >= resources:
                return process
        except (OSError, ValueError, KeyError):
            pass  # the state does not exist yet, or is being written
        time.sleep(0.3)
    output, _ = process.communicate()
    pytest.fail(f"`up` never had {resources} resources: {output[-2000:]}")


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


def test_up_can_be_interrupted_and_continued(small: Clone) -> None:
    """After Ctrl-C, `up` names the command that continues; that command completes the environment."""
    process = start_up(small, len(small.state("alpha")) + 5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode not in {ExitCode.SUCCESS, None}
    assert "  ./infra up alpha\n" in output
    assert "Traceback" not in output
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]
    assert "socket" in done.stdout
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS


def test_a_killed_up_leaves_no_lock_and_its_pending_operations_are_not_repeated(small: Clone) -> None:
    """The next `up` removes the lock of the killed one and refuses, naming each operation that did not complete."""
    small.edit("Pulumi.alpha.yaml", "    payments:\n      enabled: false\n", "    payments:\n")
    small.edit("Pulumi.alpha.yaml", "    members:\n      enabled: false\n", "    members:\n")
    process = start_up(small, len(small.state("alpha")) + 25)
    os.killpg(process.pid, signal.SIGKILL)
    # The engine's plugins run in process groups of their own.
    subprocess.run(["pkill", "-KILL", "-f", str(small.paths.home)], check=False)
    process.communicate()
    assert len(small.lock_files("alpha")) == 1
    pending = [operation["resource"]["urn"] for operation in small.deployment("alpha")["pending_operations"]]
    assert pending
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.FAILED
    assert small.lock_files("alpha") == []
    assert [urn for urn in pending if urn not in done.stdout] == []
    clear = ("refresh", "--stack", "alpha", "--clear-pending-creates", "--yes")
    assert f"  ./infra pulumi {' '.join(clear)}\n" in done.stdout
    cleared = small.infra("pulumi", *clear, "--skip-preview", "--parallel", str(PARALLEL))
    assert cleared.returncode == ExitCode.SUCCESS, cleared.stdout[-2000:]
    assert small.infra("preview", "alpha").returncode == ExitCode.SUCCESS
