"""Days on which something dies during `up`: a small environment, so that it can die often."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from sandbox.emulator import process as emulator
from sandbox.session import Session
from tests.engine.conftest import Clone, make_clone, only_socket


@pytest.fixture(scope="module")
def small(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone whose alpha has the foundation and socket, the service without data."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("small clone"))
    path = clone.root / "Pulumi.alpha.yaml"
    path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    yield clone
    emulator.stop(clone.paths)


def started_up(clone: Clone, resources: int) -> "subprocess.Popen[str]":
    """Start `up` and return when so many resources are made."""
    process = clone.start("up", "alpha")
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(clone.state("alpha")) >= resources:
                return process
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.3)
    output, _ = process.communicate()
    pytest.fail(f"`up` never had {resources} resources: {output[-2000:]}")


def test_up_stops_and_goes_on_when_the_emulated_aws_is_killed(small: Clone) -> None:
    """Clear message, nothing lost: the next `up` keeps what was made."""
    process = started_up(small, 60)
    running = emulator.find(small.paths)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"the emulated AWS (process {running.pid}) ended while Pulumi was at work" in output
    assert "Traceback" not in output
    assert len(small.state("alpha")) >= 60


def test_up_goes_on_after_ctrl_c(small: Clone) -> None:
    """Twice interrupted, then whole; then nothing to change."""
    made = len(small.state("alpha"))
    process = started_up(small, made + 5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode not in {0, None}
    assert "goes on from there" in output
    assert "Traceback" not in output
    done = small.infra("up", "alpha")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "socket" in done.stdout
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == 0


def test_what_was_killed_frees_its_lock_and_says_what_is_not_known(small: Clone) -> None:
    """Kill -9 of everything: the lock of the dead is freed, and operations under way are told, not repeated."""
    small.edit("Pulumi.alpha.yaml", "    payments:\n      enabled: false\n", "    payments:\n")
    small.edit("Pulumi.alpha.yaml", "    members:\n      enabled: false\n", "    members:\n")
    before = len(small.state("alpha"))
    process = started_up(small, before + 25)
    os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["pkill", "-KILL", "-f", str(small.paths.home)], check=False)  # the engine's plugins have groups of their own
    process.communicate()
    done = small.infra("up", "alpha")
    assert done.returncode == 1
    assert "which is gone: freeing it" in done.stdout
    assert "nobody knows whether AWS made them" in done.stdout
    assert "--clear-pending-creates" in done.stdout
    cleared = small.infra("pulumi", "refresh", "--stack", "alpha", "--clear-pending-creates", "--yes", "--skip-preview", "--parallel", "64")
    assert cleared.returncode == 0, cleared.stdout[-2000:]
    assert small.infra("preview", "alpha").returncode == 0
