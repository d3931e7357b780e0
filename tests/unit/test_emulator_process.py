"""How the emulator's process is found, and which port it gets."""

import os
import socket
from pathlib import Path

import pytest

from sandbox.emulator import process as emulator
from sandbox.emulator.process import EmulatorProcess
from sandbox.paths import Paths


def test_a_port_in_use_is_replaced_by_one_that_nobody_else_can_take() -> None:
    """The socket listens on another port, which stays bound until the emulator serves it."""
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        with emulator.listen(port) as listener, socket.socket() as rival:
            assert listener.getsockname()[1] != port
            with pytest.raises(OSError, match="in use"):
                rival.bind(listener.getsockname())


@pytest.mark.parametrize("pid", [999999, os.getpid()], ids=["missing", "reused"])
def test_a_process_file_is_deleted_if_its_process_does_not_run(tmp_path: Path, pid: int) -> None:
    """Neither a missing process nor another one with the same process id is the emulator."""
    paths = Paths(tmp_path / ".sandbox")
    paths.create()
    file = emulator.process_file(paths)
    file.write_text(EmulatorProcess(pid, "Mon Jan 1 00:00:00 2024", 1, "x").to_json(), encoding="utf-8")
    assert emulator.find(paths) is None
    assert not file.exists()


def test_a_running_process_is_found(tmp_path: Path) -> None:
    """The process file leads to a process that runs since the time in the file."""
    paths = Paths(tmp_path / ".sandbox")
    paths.create()
    process = EmulatorProcess(os.getpid(), emulator.start_time(os.getpid()), 4566, "x")
    emulator.process_file(paths).write_text(process.to_json(), encoding="utf-8")
    assert emulator.find(paths) == process


def test_the_emulator_does_not_get_the_users_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that starts with AWS_ reaches the emulator."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    environment = emulator.server_environment(Paths(tmp_path / ".sandbox"), 1)
    assert not [name for name in environment if name.startswith("AWS_")]
    assert "real" not in environment.values()
