"""The sandbox's session: its environment variables, locks, and what it says about pending operations."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from cli import sandbox
from cli.exit_codes import ExitCode
from common.errors import SandboxError
from sandbox.emulator.process import start_time
from sandbox.engine.obtain import Engine
from sandbox.paths import Paths
from sandbox.session import KEPT_LOGS, Session, account_of
from settings.project_files import PROJECT
from tests.unit.conftest import ROOT

DEAD_PID = 2**22 + 1  # above the largest process ID of Linux
URN = "urn:pulumi:beta::100xglobal::aws:rds/instance:Instance::members-database-instance"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a session whose engine cannot be run."""
    engine = Engine(Path("/x/pulumi"), "v3.259.0", "test", has_language_host=False)
    return Session(Paths(tmp_path / ".sandbox"), engine)


def test_pulumi_does_not_get_the_users_credentials(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """All AWS_* and PULUMI_* variables of a Pulumi process come from the sandbox."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "real")
    environment = session.environment("prod", endpoint="http://127.0.0.1:1")
    assert "real" not in environment.values()
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PULUMI_ACCESS_TOKEN"} & set(environment)
    assert environment["AWS_ACCESS_KEY_ID"] == "111111111111"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_a_stack_uses_the_account_that_its_file_allows(tmp_path: Path) -> None:
    """The account comes from the environment file; a missing or wrong file leads to the default account."""
    assert account_of("beta", ROOT) == "333333333333"
    (tmp_path / "Pulumi.beta.yaml").write_text("config: [", encoding="utf-8")
    for stack in ("beta", "prod", None):
        assert account_of(stack, tmp_path) == "111111111111"


def write_lock(session: Session, pid: int, host: str) -> Path:
    """Write a lock on beta as the file backend does, and return its path."""
    folder = session.paths.state / ".pulumi" / "locks" / "organization" / PROJECT / "beta"
    folder.mkdir(parents=True)
    file = folder / "lock.json"
    file.write_text(json.dumps({"pid": pid, "hostname": host, "timestamp": "noon"}), encoding="utf-8")
    return file


def test_the_sandbox_is_not_emptied_during_an_update(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The update would go on creating resources; a lock of a dead process hinders nobody."""
    monkeypatch.setattr(sandbox, "default_paths", lambda: session.paths)
    lock = write_lock(session, os.getpid(), socket.gethostname())
    assert sandbox.reset(yes=True) == ExitCode.LOCKED
    assert f"process {os.getpid()} is updating beta" in capsys.readouterr().err
    lock.write_text(json.dumps({"pid": DEAD_PID}), encoding="utf-8")
    assert sandbox.reset(yes=True) == ExitCode.SUCCESS
    assert not session.paths.base.exists()


def test_a_lock_of_a_running_process_refuses_an_update(session: Session) -> None:
    """The refusal names the process and since when it has the lock."""
    session.refuse_if_locked("beta")
    write_lock(session, os.getpid(), socket.gethostname())
    assert session.locked_by("beta") == f"process {os.getpid()}, since noon"
    with pytest.raises(SandboxError, match=f"process {os.getpid()}, since noon"):
        session.refuse_if_locked("beta")


def test_a_lock_of_another_host_is_respected(session: Session) -> None:
    """Whether a process of another host runs cannot be known here, so its lock counts."""
    write_lock(session, 999999, "another-host")
    assert session.locked_by("beta") == "process 999999, since noon"


def test_a_lock_of_a_killed_process_is_removed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has the lock afterwards, and Pulumi is told to cancel the update."""
    assert start_time(999999) == ""
    file = write_lock(session, 999999, socket.gethostname())
    commands: list[list[str]] = []

    def capture(_: Session, arguments: list[str], stack: str | None = None) -> "subprocess.CompletedProcess[str]":
        assert stack == "beta"
        commands.append(arguments)
        file.unlink()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(Session, "capture", capture)
    assert session.locked_by("beta") == ""
    assert commands == [["cancel", "--yes", "--stack", "beta"]]
    assert session.locked_by("beta") == ""


def test_pending_operations_refuse_an_update(session: Session) -> None:
    """The refusal names every resource whose operation did not complete."""
    session.refuse_if_pending("beta")
    session.state_file("beta").parent.mkdir(parents=True)
    latest = {"pending_operations": [{"resource": {"urn": URN}, "type": "creating"}]}
    session.state_file("beta").write_text(json.dumps({"checkpoint": {"latest": latest}}), encoding="utf-8")
    with pytest.raises(SandboxError, match=URN) as raised:
        session.refuse_if_pending("beta")
    assert str(raised.value).endswith("  ./infra up beta")


def test_old_logs_of_the_engine_are_removed(session: Session) -> None:
    """The newest ones stay, whatever they are called."""
    session.remove_old_logs()  # there is no folder yet
    folder = session.paths.home / "logs"
    folder.mkdir(parents=True)
    for number in range(KEPT_LOGS + 5):
        file = folder / f"{100 - number}.log"
        file.touch()
        os.utime(file, (number, number))
    session.remove_old_logs()
    assert {path.name for path in folder.iterdir()} == {f"{100 - number}.log" for number in range(5, KEPT_LOGS + 5)}
