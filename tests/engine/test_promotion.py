"""Promotions that go wrong in the middle, on the engine: two small environments, so that much can go wrong.

The tests stand in the order they run in: each leaves the environments as the next expects them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from release import record
from release.promote import services_in
from sandbox.emulator import process as emulator
from sandbox.session import Session
from tests.engine.conftest import Clone, clean_environment, make_clone, only_socket

HOTFIX = ("--hotfix", "--reason", "the tests cannot wait for the soak")


@pytest.fixture(scope="module")
def pair(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone with alpha and beta up, each the foundation and socket."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("pair clone"))
    for stack in ("alpha", "beta"):
        path = clone.root / f"Pulumi.{stack}.yaml"
        path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    running = {stack: clone.start("up", stack) for stack in ("alpha", "beta")}
    for process in running.values():
        output, _ = process.communicate()
        assert process.returncode == 0, output[-3000:]
    yield clone
    emulator.stop(clone.paths)


def release(clone: Clone, version: str, variables: str = "{}") -> None:
    """Write a release of socket into alpha's file and bring it up, as CI would."""
    path = clone.root / "Pulumi.alpha.yaml"
    head, socket = path.read_text(encoding="utf-8").split("    socket:\n", 1)
    lines = [line for line in socket.splitlines(keepends=True) if not line.lstrip().startswith("environment_variables")]
    at = next(index for index, line in enumerate(lines) if line.lstrip().startswith("version:"))
    lines[at] = f"        version: {version}\n        environment_variables: {variables}\n"
    path.write_text(f"{head}    socket:\n{''.join(lines)}", encoding="utf-8")


def runs(clone: Clone, stack: str) -> str:
    """Return the launch template version that AWS runs in a stack's group."""
    group = next(resource for resource in clone.state(stack) if resource["urn"].endswith("::socket-servers-group"))
    (found,) = clone.aws(stack).describe_auto_scaling_groups(AutoScalingGroupNames=[group["id"]])["AutoScalingGroups"]
    return str(found["LaunchTemplate"]["Version"])


def kinds(clone: Clone, environment: str = "beta") -> list[str]:
    """Return the kinds of the events of socket in an environment, and of its holds."""
    return [event.kind for event in record.read(clone.root, "socket") if event.environment in {environment, ""}]


def test_a_release_whose_servers_fail_is_no_release_to_promote(pair: Clone) -> None:
    """Pulumi's update ends well; AWS takes it back; `up` says so, tries again when asked to, and nothing is promoted."""
    release(pair, "0.9.4", '{SANDBOX_SERVERS_FAIL: "yes"}')
    for _ in range(2):
        done = pair.infra("up", "alpha")
        assert done.returncode == 5, done.stdout[-3000:]
        assert "these servers did not come up" in done.stdout
        assert "AWS took the last deployment back" in done.stdout
    assert runs(pair, "alpha") == "1"
    refused = pair.infra("promote", "socket", "--from", "alpha", "--to", "beta", *HOTFIX)
    assert refused.returncode == 1
    assert "socket cannot be called healthy there" in refused.stdout
    assert kinds(pair) == []


def test_a_release_that_fails_in_the_target_is_recorded_so_and_rolled_back(pair: Clone) -> None:
    """It came up in alpha and does not in beta: the record tells it, and the release before comes back and is well."""
    before = (pair.root / "Pulumi.beta.yaml").read_bytes()
    release(pair, "0.9.5", '{SANDBOX_SERVERS_FAIL: "beta"}')
    assert pair.infra("up", "alpha").returncode == 0
    done = pair.infra("promote", "socket", "--from", "alpha", "--to", "beta", *HOTFIX, "--up")
    assert done.returncode == 5, done.stdout[-3000:]
    assert kinds(pair) == ["hotfix", "fail"]
    assert "AWS took the last deployment back" in record.read(pair.root, "socket")[-1].reason
    back = pair.infra("rollback", "socket", "beta", "--reason", "does not start in beta", "--up")
    assert back.returncode == 0, back.stdout[-3000:]
    assert (pair.root / "Pulumi.beta.yaml").read_bytes() == before
    assert kinds(pair) == ["hotfix", "fail", "hold", "rollback", "arrive"]
    held = pair.infra("promote", "socket", "--from", "alpha", "--to", "beta", *HOTFIX)
    assert held.returncode == 1
    assert "0.9.5 is held by" in held.stdout


def test_a_killed_promotion_is_gone_on_with_by_the_same_command(pair: Clone) -> None:
    """The record has the move once, says that it has not arrived, and then that it has."""
    release(pair, "0.9.6")
    assert pair.infra("up", "alpha").returncode == 0
    command = ("promote", "socket", "--from", "alpha", "--to", "beta", *HOTFIX, "--up")
    process = pair.start(*command)
    seen = ""
    assert process.stdout
    for line in process.stdout:
        seen += line
        if "socket-servers-template updating" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["pkill", "-KILL", "-f", str(pair.paths.home)], check=False)
    process.communicate()
    assert "socket-servers-template updating" in seen, seen[-3000:]
    assert kinds(pair)[-1] == "hotfix"
    assert "0.9.6 has not arrived in beta" in pair.infra("history", "socket").stdout
    done = pair.infra(*command)
    assert "has not arrived: going on" in done.stdout
    if done.returncode == 1:  # the kill came while Pulumi had noted an operation as begun
        assert "nobody knows whether AWS made them" in done.stdout, done.stdout[-3000:]
        cleared = pair.infra("pulumi", "refresh", "--stack", "beta", "--clear-pending-creates", "--yes", "--skip-preview", "--parallel", "64")
        assert cleared.returncode == 0, cleared.stdout[-2000:]
        done = pair.infra(*command)
    assert done.returncode == 0, done.stdout[-3000:]
    assert kinds(pair)[-2:] == ["hotfix", "arrive"]
    assert "on its way" not in pair.infra("history", "socket").stdout


def test_another_teams_up_is_waited_for_in_a_queue_that_is_seen_or_not_at_all(pair: Clone) -> None:
    """Who does not want to wait is told who works, and exits 4; who waits goes on when it is over."""
    release(pair, "0.9.7")
    first = pair.start("up", "alpha")
    time.sleep(3)
    second = pair.start("up", "alpha", "--wait", "10")
    third = pair.infra("up", "alpha")
    assert third.returncode == 4, third.stdout
    assert "another process is changing alpha" in third.stdout
    first_printed, _ = first.communicate()
    second_printed, _ = second.communicate()
    assert first.returncode == 0, first_printed[-3000:]
    assert second.returncode == 0, second_printed[-3000:]
    assert "Waiting: 1. " in second_printed
    assert "nothing to change" in second_printed


def test_the_verbs_work_where_this_shells_own_pulumi_is_logged_in(pair: Clone) -> None:
    """Plain pulumi on PATH, its backend, and AWS's settings from the environment: here, all three lead to the sandbox."""
    exports = pair.infra("env", "beta").stdout
    # The sandbox's moves are none of this place's; what runs is the same here, so the file may stay as it is.
    for command, status, told in (
        ("up beta", 0, "nothing to change"),
        ("gate beta", 0, "The gate is open."),
        ("status", 0, "alpha: alpha could not be compared with what is there"),
        ("status --no-drift", 0, "0.9.6"),
        ("promote socket --from alpha --to beta", 1, "must for 1 h"),
        ("promote socket --from beta --to prod", 1, "must for 1 d"),
    ):
        script = f"{exports}\nexport INFRA_ON=aws\n./infra {command}"
        done = subprocess.run(["bash", "-c", script], cwd=pair.root, env=clean_environment(), capture_output=True, text=True, check=False)
        assert (done.returncode, told in done.stdout + done.stderr) == (status, True), f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert services_in((pair.root / "Pulumi.beta.yaml").read_text(encoding="utf-8"))["socket"]["release"]["version"] == "0.9.6"
