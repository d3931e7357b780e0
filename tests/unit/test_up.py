"""`./infra up`: exactly what passed the gate is applied, the journal keeps the outcome, and the output explains it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cli import attempts, preflight, queue, recovery, server_health
from cli.backends import CommandResult
from cli.exit_codes import ExitCode
from cli.gate import Options, approve, disallowed_option, known_releases, remember_releases
from cli.promote import promote
from cli.rollback import rollback
from cli.up import up
from common.errors import InfraError
from release import journal
from release.promote import Request
from release.stack_state import StackState, fingerprint
from tests.unit.fake_backend import FakeBackend, group_urn, make_backend, set_unhealthy
from tests.unit.release_builders import edit_file, requested_release

FAILED, LOCKED = CommandResult(255), CommandResult(255, "kim, process 7")
ROLLBACK = Request("members", "", "beta", reason="slow")


@pytest.fixture
def backend(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return a backend in which members can be promoted."""
    edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    return make_backend(release_folder, monkeypatch)


def promote_and_deploy(backend: FakeBackend, options: Options | None = None) -> int:
    """Promote members to beta and deploy beta."""
    request = Request("members", "alpha", "beta")
    return promote(backend.folder, backend, request, options or Options(), then_up=True)


def journal_kinds(backend: FakeBackend) -> list[str]:
    """Return the kinds of the events of members, oldest first."""
    return [event.kind for event in journal.read(backend.folder, "members")]


# --- what is applied


def test_what_passed_the_gate_is_applied_and_recorded(backend: FakeBackend, snapshot: SnapshotAssertion) -> None:
    """The plan of the preview is applied; Pulumi previews it again, and the journal keeps the gate's result."""
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    ((command, *options),) = backend.runs
    assert command == "up"
    assert "--plan" in options
    assert "--skip-preview" not in options
    assert journal_kinds(backend) == ["promote", "deployed"]
    event = journal.read(backend.folder, "members")[-1]
    assert event.gate == snapshot
    assert event.approvals == []
    assert event.fingerprint == fingerprint(requested_release(backend.folder, "beta", "members"))


def test_a_failed_gate_applies_nothing(backend: FakeBackend) -> None:
    """The move stays pending. After an approval, the same command continues, and the journal names the approval."""
    backend.changed_services = ["members", "payments"]
    assert promote_and_deploy(backend) == ExitCode.GATE_FAILED
    assert backend.runs == []
    assert journal_kinds(backend) == ["promote"]
    assert approve(backend.folder, backend, "beta", "both change their scaling", 2) == ExitCode.SUCCESS
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "deployed"]
    (file,) = journal.read(backend.folder, "members")[-1].approvals
    assert file.startswith("releases/approvals/payments/")
    assert (backend.folder / file).is_file()


def test_a_change_that_comes_from_code_fails_the_gate(backend: FakeBackend) -> None:
    """The same service's configuration differs, but the program would also replace its servers without that."""
    backend.changed_by_code = ["members"]
    assert promote_and_deploy(backend) == ExitCode.GATE_FAILED
    assert backend.runs == []


def test_the_sandbox_may_accept_every_change(backend: FakeBackend) -> None:
    """Nobody loses anything there. No approval is recorded, and no baseline is previewed."""
    backend.changed_services = backend.changed_by_code = ["members", "payments"]
    assert promote_and_deploy(backend, Options(allow_changes=True)) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "deployed"]
    assert journal.read(backend.folder, "members")[-1].approvals == []


def test_aws_accepts_no_change_without_an_approval(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--allow-changes` works in the sandbox only."""
    monkeypatch.setattr(FakeBackend, "name", "aws")
    with pytest.raises(InfraError):
        up(backend.folder, backend, "beta", Options(allow_changes=True, preflight=False))
    assert backend.runs == []


def test_a_release_that_this_machine_deployed_is_known(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it was never committed; a release that somebody else deployed is not."""
    monkeypatch.setattr("cli.gate.git", lambda *_: "")
    assert promote_and_deploy(backend) == ExitCode.GATE_FAILED
    remember_releases(backend, "beta", backend.config["beta"])
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    deployed = requested_release(backend.folder, "beta", "members")
    known = known_releases(backend.folder, backend, "beta")
    assert known is not None
    assert fingerprint(deployed) in known["members"]
    assert fingerprint({**deployed, "version": "9.9.9"}) not in known["members"]


def test_a_release_that_this_clone_does_not_know_is_not_replaced(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else deployed it, and this clone's file is older."""
    monkeypatch.setattr("cli.gate.git", lambda *_: "")
    edit_file(backend.folder, "beta", "version: 1.4.2", "version: 1.4.1")
    assert up(backend.folder, backend, "beta", Options(allow_changes=True)) == ExitCode.GATE_FAILED
    assert backend.runs == []


def test_a_state_that_changed_meanwhile_is_previewed_again(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passed the gate is only applied to the state that was previewed; `up` gives up after five attempts."""
    previews: list[str] = []
    answer = backend.answer_preview

    def count_and_answer(stack: str, arguments: list[str]) -> Any:
        previews.append(stack)
        return answer(stack, arguments)

    monkeypatch.setattr(backend, "answer_preview", count_and_answer)
    backend.remaining_changes = 5
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    assert len(previews) > 1
    assert len(backend.runs) == 1
    previews.clear()
    backend.remaining_changes = 1000
    backend.history["beta"].insert(0, ("failed", {}, backend.clock()))
    with pytest.raises(InfraError):
        up(backend.folder, backend, "beta", Options(allow_changes=True))
    assert len(previews) == 5
    assert len(backend.runs) == 1


def test_an_up_to_date_environment_is_not_updated(backend: FakeBackend) -> None:
    """A second `up` changes nothing and succeeds."""
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    backend.changed_services = []
    assert up(backend.folder, backend, "beta", Options()) == ExitCode.SUCCESS
    assert len(backend.runs) == 1


# --- failures


def test_a_failed_update_is_recorded_and_can_be_repeated(backend: FakeBackend) -> None:
    """The journal says that the release failed, then that it was deployed."""
    backend.results = [FAILED, CommandResult(0)]
    assert promote_and_deploy(backend) == ExitCode.FAILED
    assert journal_kinds(backend) == ["promote", "failed"]
    assert journal.read(backend.folder, "members")[-1].reason
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "failed", "deployed"]


def test_a_rollback_after_a_failed_update_that_changed_nothing_runs_an_update(backend: FakeBackend) -> None:
    """Otherwise the stack's last update would remain a failed one, and nothing could be promoted from it."""
    backend.results = [FAILED, CommandResult(0)]
    assert promote_and_deploy(backend) == ExitCode.FAILED
    backend.changed_services = []
    assert rollback(backend.folder, backend, ROLLBACK, Options()) == ExitCode.SUCCESS
    assert len(backend.runs) == 2
    assert journal_kinds(backend) == ["promote", "failed", "hold", "rollback", "deployed"]
    assert up(backend.folder, backend, "beta", Options()) == ExitCode.SUCCESS
    assert len(backend.runs) == 2


def test_a_rollback_that_is_not_deployed_yet_continues_and_is_not_repeated(backend: FakeBackend) -> None:
    """The same command deploys the release that is in the file already, instead of going back one further."""
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    backend.results = [FAILED, CommandResult(0)]
    assert rollback(backend.folder, backend, ROLLBACK, Options()) == ExitCode.FAILED
    assert rollback(backend.folder, None, ROLLBACK, Options()) == ExitCode.FAILED
    assert rollback(backend.folder, backend, ROLLBACK, Options()) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "deployed", "hold", "rollback", "failed", "deployed"]


def test_a_failed_update_of_another_service_says_nothing_about_a_deployed_release(backend: FakeBackend) -> None:
    """The release runs, although its deployment was not recorded because someone stopped waiting."""
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    (recorded,) = (backend.folder / journal.FOLDER / "members").glob("*-deployed-*")
    recorded.unlink()
    backend.changed_services, backend.results = ["payments"], [FAILED]
    assert up(backend.folder, backend, "beta", Options(allow_changes=True)) == ExitCode.FAILED
    assert journal_kinds(backend) == ["promote"]


def test_a_source_without_a_stack_refuses_a_promotion(backend: FakeBackend) -> None:
    """Nothing was tested there."""
    backend.missing = {"alpha"}
    assert promote_and_deploy(backend) == ExitCode.FAILED
    assert journal_kinds(backend) == []


def test_an_error_of_pulumi_is_not_taken_for_a_refusal(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier attempt does not continue while the source's state cannot be read."""
    backend.results = [FAILED, CommandResult(0)]
    assert promote_and_deploy(backend) == ExitCode.FAILED

    def fail(*_: object) -> None:
        raise InfraError("AWS does not answer")

    monkeypatch.setattr(server_health, "server_report", fail)
    with pytest.raises(InfraError):
        promote_and_deploy(backend)
    assert len(backend.runs) == 1


def test_an_operation_that_nobody_can_look_up_stops_an_update(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another update could create its resource a second time."""
    monkeypatch.setattr(recovery, "AwsClients", lambda *_: None)
    backend.pending = [group_urn("members")]
    with pytest.raises(InfraError):
        up(backend.folder, backend, "beta", Options())
    assert backend.runs == []


def test_a_killed_update_counts_as_failed(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi records only updates that ended, so this machine notes what it begins."""

    class KilledError(BaseException):
        """Stands in for SIGKILL."""

    def run(*_: object) -> None:
        note = attempts.find(backend.memory_folder("beta"))
        assert note is not None
        assert not note.was_empty
        states.append(backend.state("beta"))
        raise KilledError

    states: list[StackState] = []
    backend.clock.now = datetime.now(UTC) - timedelta(hours=1)
    backend.history["beta"] = [("succeeded", backend.config["beta"], backend.clock.now)]
    monkeypatch.setattr(backend, "run", run)
    with pytest.raises(KilledError):
        up(backend.folder, backend, "beta", Options(allow_changes=True))
    assert [update.result for update in states[0].updates] == ["failed", "succeeded"]
    assert len(backend.state("beta").updates) == 1  # the note is gone, because this process lives


@pytest.mark.parametrize(
    ("name", "asks", "exit_code"),
    [
        ("aws", True, ExitCode.FAILED),
        ("aws", False, ExitCode.GATE_FAILED),  # it came as far as the gate
        ("sandbox", True, ExitCode.GATE_FAILED),
    ],
)
def test_aws_is_asked_first_on_real_aws_only(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, name: str, *, asks: bool, exit_code: ExitCode
) -> None:
    """What AWS would refuse stops an update before it begins, unless the user insists."""
    monkeypatch.setattr(backend, "name", name)
    monkeypatch.setattr(preflight, "preflight", lambda *_: ExitCode.FAILED)
    assert up(backend.folder, backend, "beta", Options(preflight=asks)) == exit_code
    assert backend.runs == []


# --- servers


def test_unhealthy_servers_fail_the_deployment(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's update succeeded, but the release is recorded as failed."""
    set_unhealthy(monkeypatch, "members")
    assert promote_and_deploy(backend) == ExitCode.UNHEALTHY
    assert journal_kinds(backend) == ["promote", "failed"]


def test_unhealthy_servers_of_another_service_fail_nothing(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are reported, but each service is deployed at its own pace."""
    set_unhealthy(monkeypatch, "payments")
    assert promote_and_deploy(backend) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "deployed"]
    assert "payments" in capsys.readouterr().err


def test_whoever_stops_waiting_loses_no_gate_result(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal says that nobody saw the servers become healthy, and keeps what the gate accepted."""
    backend.changed_services = ["payments"]
    assert approve(backend.folder, backend, "beta", "both change their scaling", 2) == ExitCode.SUCCESS
    backend.changed_services = ["members", "payments"]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server_health, "wait_for_servers", interrupt)
    assert promote_and_deploy(backend) == ExitCode.UNHEALTHY
    event = journal.read(backend.folder, "members")[-1]
    assert event.kind == "failed"
    assert (len(event.gate), len(event.approvals)) == (1, 1)
    assert event.reason


# --- the queue


def test_a_lock_that_someone_else_took_meanwhile_ends_the_command(backend: FakeBackend) -> None:
    """Nothing is recorded as failed."""
    backend.results = [LOCKED]
    assert promote_and_deploy(backend) == ExitCode.LOCKED
    assert journal_kinds(backend) == ["promote"]


def test_a_lock_that_someone_else_took_meanwhile_is_waited_for(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine the lock is only known by trying, so the gate and the update run again."""
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    backend.results = [LOCKED, LOCKED, CommandResult(0)]
    assert promote_and_deploy(backend, Options(wait_minutes=1)) == ExitCode.SUCCESS
    assert journal_kinds(backend) == ["promote", "deployed"]
    assert len(backend.runs) == 3


# --- options


def test_options_that_only_change_the_output_are_passed_on() -> None:
    """So are options that change how fast Pulumi works."""
    options = ["--diff", "-m", "--target", "--message=x", "--parallel", "8", "-y", "--refresh"]
    assert disallowed_option(options) == ""


@pytest.mark.parametrize(
    "option",
    [
        "--skip-preview",
        "-f",
        "--target",
        "--target=urn",
        "-t",
        "--exclude",
        "--plan",
        "-sprod",
        "--stack",
        "-c",
        "--config-file=x",
        "-yf",
        "word",
    ],
)
def test_options_that_change_what_is_deployed_are_not_passed_on(option: str) -> None:
    """What is previewed, judged and applied must be the same."""
    assert disallowed_option(["--diff", option]) == option


def test_a_disallowed_option_is_wrong_usage(backend: FakeBackend) -> None:
    """Nothing is read or changed."""
    options = Options(pulumi_options=("--skip-preview",))
    assert up(backend.folder, backend, "beta", options) == ExitCode.USAGE
    assert backend.export_count == 0


# --- output


def interrupted(*_: object) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "ending",
    [
        "success",
        "up to date",
        "gate failed",
        "failed",
        "unhealthy",
        "interrupted",
        "another",
        "locked",
        "waited",
        "usage",
    ],
)
def test_the_end_of_up(
    backend: FakeBackend,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    snapshot: SnapshotAssertion,
) -> None:
    """The output says what happened and what to do next."""
    options = Options(allow_changes=True)
    exit_code = ExitCode.SUCCESS
    if ending == "up to date":
        backend.changed_services = []
    elif ending == "gate failed":
        backend.changed_services, options, exit_code = ["payments"], Options(), ExitCode.GATE_FAILED
    elif ending == "failed":
        backend.results, exit_code = [FAILED], ExitCode.FAILED
    elif ending == "unhealthy":
        set_unhealthy(monkeypatch, "members")
        exit_code = ExitCode.UNHEALTHY
    elif ending == "interrupted":
        monkeypatch.setattr(server_health, "wait_for_servers", interrupted)
        exit_code = ExitCode.UNHEALTHY
    elif ending == "another":
        set_unhealthy(monkeypatch, "payments")
    elif ending == "locked":
        backend.results, exit_code = [LOCKED], ExitCode.LOCKED
    elif ending == "waited":
        monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
        backend.results = [LOCKED, CommandResult(0)]
        options = Options(allow_changes=True, wait_minutes=1)
    elif ending == "usage":
        options, exit_code = Options(pulumi_options=("--skip-preview",)), ExitCode.USAGE
    assert up(backend.folder, backend, "beta", options) == exit_code
    printed = capsys.readouterr()
    assert {"stdout": printed.out, "stderr": printed.err} == snapshot
