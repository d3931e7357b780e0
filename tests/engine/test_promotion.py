"""Promotions that go wrong half-way, on the engine: two small environments, so that much can go wrong.

The tests run in this order: each of them leaves the environments as the next one expects them.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from cli.exit_codes import ExitCode
from release import journal
from release.environment_file import release_in
from release.findings import Rule
from sandbox.emulator import process as emulator
from sandbox.session import PARALLEL, Session
from settings.project_files import environment_file
from tests.engine.conftest import Clone, make_clone, only_socket

HOTFIX = ("--hotfix", "--reason", "the tests cannot wait for the soak time")
PROMOTE = ("promote", "socket", "--from", "alpha", "--to", "beta", *HOTFIX)
UPDATING_TEMPLATE = "socket-servers-template updating"


@pytest.fixture(scope="module")
def pair(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone in which alpha and beta are deployed, each with the foundation and socket."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("pair clone"))
    for stack in ("alpha", "beta"):
        path = clone.root / environment_file(stack)
        path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    for process in [clone.start("up", stack) for stack in ("alpha", "beta")]:
        output, _ = process.communicate()
        assert process.returncode == ExitCode.SUCCESS, output[-3000:]
    yield clone
    emulator.stop(clone.paths)


def write_release(clone: Clone, version: str, variables: str = "{}") -> None:
    """Write a release of socket to alpha's file, as CI would."""
    path = clone.root / environment_file("alpha")
    head, socket = path.read_text(encoding="utf-8").split("    socket:\n", 1)
    lines = [line for line in socket.splitlines(keepends=True) if not line.lstrip().startswith("environment_variables")]
    index = next(index for index, line in enumerate(lines) if line.lstrip().startswith("version:"))
    lines[index] = f"        version: {version}\n        environment_variables: {variables}\n"
    path.write_text(f"{head}    socket:\n{''.join(lines)}", encoding="utf-8")


def requested_version(clone: Clone, stack: str) -> str:
    """Return the version of socket in a file."""
    text = (clone.root / environment_file(stack)).read_text(encoding="utf-8")
    return str(release_in(text, "socket")["version"])


def template_version(clone: Clone, stack: str) -> str:
    """Return the launch template version that AWS runs in a stack's group."""
    state = next(resource for resource in clone.state(stack) if resource["urn"].endswith("::socket-servers-group"))
    answer = clone.aws(stack).describe_auto_scaling_groups(AutoScalingGroupNames=[state["id"]])
    (group,) = answer["AutoScalingGroups"]
    return str(group["LaunchTemplate"]["Version"])


def server_versions(clone: Clone, stack: str) -> set[str]:
    """Return the launch template versions of the servers that AWS runs in a stack's group."""
    groups = clone.aws(stack).describe_auto_scaling_groups()["AutoScalingGroups"]
    return {server["LaunchTemplate"]["Version"] for group in groups for server in group["Instances"]}


def state_version(clone: Clone, stack: str) -> str:
    """Return the launch template version of a stack's group in Pulumi's state."""
    state = next(resource for resource in clone.state(stack) if resource["urn"].endswith("::socket-servers-group"))
    return str(state["outputs"]["launchTemplate"]["version"])


def journal_kinds(clone: Clone, environment: str = "beta") -> list[str]:
    """Return the kinds of socket's events in an environment, and of its holds."""
    return [event.kind for event in journal.read(clone.root, "socket") if event.environment in {environment, ""}]


def test_a_release_whose_servers_are_unhealthy_cannot_be_promoted(pair: Clone) -> None:
    """`up` returns them to the release before, in AWS and in Pulumi's state. Run again, it tries the release again."""
    write_release(pair, "0.9.4", '{SANDBOX_SERVERS_FAIL: "yes"}')
    for _ in range(2):
        done = pair.infra("up", "alpha")
        assert done.returncode == ExitCode.UNHEALTHY, done.stdout[-3000:]
        assert "one new server of socket-servers-group" in done.stdout
        assert "runs launch template version 1 again; the servers of version 2 failed" in done.stdout
        assert template_version(pair, "alpha") == "1"
        assert server_versions(pair, "alpha") == {"1"}
        assert state_version(pair, "alpha") == "1"
    refused = pair.infra(*PROMOTE)
    assert refused.returncode == ExitCode.FAILED
    assert "socket is not healthy in alpha" in refused.stdout
    assert journal_kinds(pair) == []


def test_servers_that_plain_pulumi_left_failing_are_returned_by_the_next_up(pair: Clone) -> None:
    """Plain `pulumi up` ends when AWS starts to replace servers, and AWS does not return to the previous version."""
    done = pair.infra("pulumi", "up", "--stack", "alpha", "--yes", "--skip-preview")
    assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]
    assert (template_version(pair, "alpha"), state_version(pair, "alpha")) == ("2", "2")
    done = pair.infra("up", "alpha")
    assert done.returncode == ExitCode.UNHEALTHY, done.stdout[-3000:]
    assert (template_version(pair, "alpha"), state_version(pair, "alpha")) == ("1", "1")


def test_a_release_that_fails_in_the_target_is_rolled_back(pair: Clone) -> None:
    """It is healthy in alpha, but not in beta. The journal says so, and the previous release is deployed again."""
    before = (pair.root / "Pulumi.beta.yaml").read_bytes()
    write_release(pair, "0.9.5", '{SANDBOX_SERVERS_FAIL: "beta"}')
    assert pair.infra("up", "alpha").returncode == ExitCode.SUCCESS
    done = pair.infra(*PROMOTE, "--up")
    assert done.returncode == ExitCode.UNHEALTHY, done.stdout[-3000:]
    assert journal_kinds(pair) == ["hotfix", "failed"]
    assert "fails its health checks" in journal.read(pair.root, "socket")[-1].reason
    rollback = pair.infra("rollback", "socket", "beta", "--reason", "does not start in beta", "--up")
    assert rollback.returncode == ExitCode.SUCCESS, rollback.stdout[-3000:]
    assert (pair.root / "Pulumi.beta.yaml").read_bytes() == before
    assert journal_kinds(pair) == ["hotfix", "failed", "hold", "rollback", "deployed"]
    refused = pair.infra(*PROMOTE)
    assert refused.returncode == ExitCode.FAILED
    assert "socket 0.9.5 is on hold by" in refused.stdout


def test_a_killed_promotion_is_continued_by_the_same_command(pair: Clone) -> None:
    """The journal has one move. It is pending after the kill, and deployed in the end."""
    write_release(pair, "0.9.6")
    assert pair.infra("up", "alpha").returncode == ExitCode.SUCCESS
    process = pair.start(*PROMOTE, "--up")
    output = ""
    assert process.stdout
    for line in process.stdout:
        output += line
        if UPDATING_TEMPLATE in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    # The engine's plugins run in process groups of their own.
    subprocess.run(["pkill", "-KILL", "-f", str(pair.paths.home)], check=False)
    process.communicate()
    assert UPDATING_TEMPLATE in output, output[-3000:]
    assert journal_kinds(pair)[-1] == "hotfix"
    assert "pending: socket 0.9.6 is not deployed to beta yet" in pair.infra("history", "socket").stdout
    done = pair.infra(*PROMOTE, "--up")
    assert "Continuing." in done.stdout
    if done.returncode == ExitCode.FAILED:  # the kill came after Pulumi had recorded an operation as started
        refresh = ("refresh", "--stack", "beta", "--yes")  # it was an update, so the resource exists
        assert f"  ./infra pulumi {' '.join(refresh)}\n" in done.stdout, done.stdout[-3000:]
        cleared = pair.infra("pulumi", *refresh, "--skip-preview", "--parallel", str(PARALLEL))
        assert cleared.returncode == ExitCode.SUCCESS, cleared.stdout[-2000:]
        done = pair.infra(*PROMOTE, "--up")
    assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]
    assert journal_kinds(pair)[-2:] == ["hotfix", "deployed"]
    assert "pending: " not in pair.infra("history", "socket").stdout


def test_two_updates_of_an_environment_take_turns(pair: Clone) -> None:
    """With --wait, the second one waits in the queue and then finds nothing to change; without, it exits with 4."""
    write_release(pair, "0.9.7")
    first = pair.start("up", "alpha")
    time.sleep(3)
    second = pair.start("up", "alpha", "--wait", "10")
    third = pair.infra("up", "alpha")
    assert third.returncode == ExitCode.LOCKED, third.stdout
    assert "another process is updating alpha" in third.stdout
    first_output, _ = first.communicate()
    second_output, _ = second.communicate()
    assert first.returncode == ExitCode.SUCCESS, first_output[-3000:]
    assert second.returncode == ExitCode.SUCCESS, second_output[-3000:]
    assert "Waiting: 1. " in second_output
    assert "alpha is up to date" in second_output


def test_going_back_without_a_rollback_is_refused(pair: Clone) -> None:
    """An older release in the file fails the gate and `up`, and no approval changes that."""
    path = pair.root / environment_file("alpha")
    content = path.read_bytes()
    write_release(pair, "0.9.1")
    exit_code, report = pair.gate_report("alpha")
    up = pair.infra("up", "alpha")
    path.write_bytes(content)
    assert exit_code == up.returncode == ExitCode.GATE_FAILED
    assert [(finding["rule"], finding["owner"]) for finding in report["blockers"]] == [(Rule.OLDER, "socket")]
    assert report["unexpected"] == []


def test_a_stale_clone_is_refused(pair: Clone) -> None:
    """A clone whose history does not know the deployed release cannot replace it, even with a newer one."""
    path, memory = pair.root / environment_file("alpha"), pair.paths.base / "deployed" / "alpha" / "releases.json"
    content, remembered = path.read_bytes(), memory.read_bytes()
    git = ["git", "-c", "user.name=Kim", "-c", "user.email=kim@example.com"]
    subprocess.run([*git, "init", "--quiet"], cwd=pair.root, check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "Start"], cwd=pair.root, check=True)
    try:
        memory.unlink()  # as if another machine had deployed it
        write_release(pair, "0.9.8")
        exit_code, report = pair.gate_report("alpha")
        up = pair.infra("up", "alpha")
        memory.write_bytes(remembered)
        known_exit_code, known = pair.gate_report("alpha")
    finally:
        path.write_bytes(content)
        memory.write_bytes(remembered)
        shutil.rmtree(pair.root / ".git")
    assert exit_code == up.returncode == ExitCode.GATE_FAILED
    assert [(finding["rule"], finding["owner"]) for finding in report["blockers"]] == [(Rule.STALE, "socket")]
    assert known_exit_code == ExitCode.SUCCESS, known


@pytest.mark.parametrize(
    ("command", "exit_code", "output"),
    [
        ("preflight beta", ExitCode.FAILED, "the machine image ami-0123456789abcdef0 is"),  # only an example
        ("up beta", ExitCode.FAILED, "./infra up beta --on aws --no-preflight"),
        ("up beta --no-preflight", ExitCode.SUCCESS, "beta is up to date"),
        ("up beta --no-preflight --allow-changes", ExitCode.FAILED, "--allow-changes works in the sandbox only"),
        ("gate beta", ExitCode.SUCCESS, "Gate passed."),
        ("status", ExitCode.SUCCESS, "alpha: cannot compare alpha with AWS"),  # the shell has beta's account
        ("status --no-drift", ExitCode.SUCCESS, "0.9.6"),
        ("promote socket --from alpha --to beta", ExitCode.FAILED, "of the required 1 h"),
        ("promote socket --from beta --to prod", ExitCode.FAILED, "of the required 1 d"),
    ],
)
def test_the_commands_work_with_the_shells_own_pulumi(
    pair: Clone, command: str, exit_code: ExitCode, output: str
) -> None:
    """`--on aws` uses the `pulumi` on PATH, its backend and the shell's AWS settings; here they lead to the sandbox.

    Promotions of the sandbox do not count on AWS, but beta already runs what its file says.
    """
    exports = pair.infra("env", "beta").stdout
    done = pair.run_script(f"{exports}\nexport INFRA_ON=aws\n./infra {command}")
    assert done.returncode == exit_code, done.stdout[-3000:]
    assert output in done.stdout, done.stdout[-3000:]
    assert requested_version(pair, "beta") == "0.9.6"
