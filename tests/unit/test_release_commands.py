"""The commands that move releases, as someone at a terminal sees them: their exit codes and what they print."""

from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from cli import hold, server_health
from cli.backends import CommandResult
from cli.exit_codes import ExitCode
from cli.gate import Options, approve, gate
from cli.history import history
from cli.promote import promote
from cli.rollback import rollback
from release import approvals
from release.danger import Danger, Kind
from release.errors import RefusedError, Rule
from release.promote import Request
from tests.unit.fake_backend import FakeBackend, group_urn, make_backend
from tests.unit.release_builders import edit_file

Step = tuple[str, Callable[[], int], ExitCode]
PROMOTE = Request("members", "alpha", "beta")
ROLLBACK = Request("members", "", "beta", reason="slow")
OPTIONS = Options()


@pytest.fixture
def backend(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return a backend in which members can be promoted."""
    edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    return make_backend(release_folder, monkeypatch)


def outputs(steps: list[Step], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Run commands one after the other, check their exit codes, and return what each prints."""
    printed = {}
    for name, command, exit_code in steps:
        assert command() == exit_code
        output = capsys.readouterr()
        printed[name] = output.out + output.err
    return printed


def test_moving_releases(backend: FakeBackend, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion) -> None:
    """Each command prints what it changed, what was checked, and what to do next."""
    folder = backend.folder
    steps: list[Step] = [
        ("1 history, no event", lambda: history(folder, backend, "members"), ExitCode.SUCCESS),
        (
            "2 promote",
            lambda: promote(folder, backend, PROMOTE, OPTIONS, then_up=False),
            ExitCode.SUCCESS,
        ),
        ("3 promote again", lambda: promote(folder, backend, PROMOTE, OPTIONS, then_up=False), ExitCode.FAILED),
        ("4 history, a pending move", lambda: history(folder, backend, "members"), ExitCode.SUCCESS),
        ("5 rollback", lambda: rollback(folder, None, ROLLBACK, OPTIONS), ExitCode.SUCCESS),
        ("6 rollback again", lambda: rollback(folder, None, ROLLBACK, OPTIONS), ExitCode.FAILED),
        ("7 unhold", lambda: hold.unhold(folder, "members", "1.5.0", "it was the cache"), ExitCode.SUCCESS),
        ("8 hold", lambda: hold.hold(folder, "payments", "2.0.1", "double charge"), ExitCode.SUCCESS),
        ("9 history, no backend", lambda: history(folder, None, "members"), ExitCode.SUCCESS),
    ]
    assert outputs(steps, capsys) == snapshot


def test_continuing_an_interrupted_deployment(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The same command with --up deploys what it moved before."""
    folder = backend.folder
    backend.results = [CommandResult(255), CommandResult(0), CommandResult(255), CommandResult(0)]
    steps: list[Step] = [
        ("1 promote, failed", lambda: promote(folder, backend, PROMOTE, OPTIONS, then_up=True), ExitCode.FAILED),
        ("2 promote", lambda: promote(folder, backend, PROMOTE, OPTIONS, then_up=True), ExitCode.SUCCESS),
        ("3 rollback, failed", lambda: rollback(folder, backend, ROLLBACK, OPTIONS), ExitCode.FAILED),
        ("4 rollback", lambda: rollback(folder, backend, ROLLBACK, OPTIONS), ExitCode.SUCCESS),
    ]
    assert outputs(steps, capsys) == snapshot


def test_promoting_what_already_runs(backend: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to do, which is no failure."""
    assert promote(backend.folder, backend, PROMOTE, OPTIONS, then_up=True) == ExitCode.SUCCESS
    for then_up in (True, False):
        capsys.readouterr()
        assert promote(backend.folder, backend, PROMOTE, OPTIONS, then_up=then_up) == ExitCode.SUCCESS
        assert capsys.readouterr().out == "members 1.5.0 already runs in beta. There is nothing to do.\n"


def test_the_gate(
    backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    snapshot: SnapshotAssertion,
) -> None:
    """It exits with 3 until the changes are approved, and notes deployments that were rolled back."""
    folder = backend.folder
    backend.changed_services = ["payments"]
    monkeypatch.setattr(server_health, "rolled_back_groups", lambda *_: [group_urn("members")])
    steps: list[Step] = [
        ("1 gate", lambda: gate(folder, backend, "beta", "text", OPTIONS), ExitCode.GATE_FAILED),
        ("2 approve", lambda: approve(folder, backend, "beta", "its scaling changes", 3), ExitCode.SUCCESS),
        ("3 gate", lambda: gate(folder, backend, "beta", "text", OPTIONS), ExitCode.SUCCESS),
        ("4 approve again", lambda: approve(folder, backend, "beta", "again", 3), ExitCode.SUCCESS),
        ("5 an unknown format", lambda: gate(folder, backend, "beta", "html", OPTIONS), ExitCode.USAGE),
    ]
    assert outputs(steps, capsys) == snapshot


def test_an_approval_needs_a_reason(backend: FakeBackend) -> None:
    """Whoever reviews it will ask for it; nothing is previewed or written."""
    with pytest.raises(RefusedError) as error:
        approve(backend.folder, backend, "beta", " ", 3)
    assert error.value.rules == {Rule.REASON_REQUIRED}
    assert approvals.read(backend.folder, "beta") == []


def test_one_person_cannot_approve_a_change_twice(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dangerous change of the last environment waits for somebody else."""
    danger = Danger(Kind.DATA_LOSS, "is lost together with its data")
    monkeypatch.setattr("release.gate.dangers_of", lambda _step: [danger])
    backend.changed_services = ["payments"]
    assert approve(backend.folder, backend, "prod", "its scaling changes", 3) == ExitCode.SUCCESS
    assert approve(backend.folder, backend, "prod", "its scaling changes", 3) == ExitCode.FAILED
    assert len(approvals.read(backend.folder, "prod")) == 1
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Robin")
    assert approve(backend.folder, backend, "prod", "I agree", 3) == ExitCode.SUCCESS
    assert gate(backend.folder, backend, "prod", "text", OPTIONS) == ExitCode.SUCCESS
