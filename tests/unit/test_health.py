"""Whether servers came up, by AWS's word; and who waits for whom."""

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cli import gating, queueing
from release import health
from release.health import Seen

STATE = {
    "urn": "urn:x::members-servers-group",
    "outputs": {"name": "g", "minSize": 2, "launchTemplate": {"id": "lt", "version": "3"}, "targetGroupArns": ["arn:x:targetgroup/http/1"]},
}


def server(version: str = "3", life: str = "InService", state: str = "Healthy") -> dict[str, Any]:
    """Return a server as AWS describes it."""
    return {"LifecycleState": life, "HealthStatus": state, "LaunchTemplate": {"Version": version}}


def seen(*servers: dict[str, Any], version: str = "3", refresh: dict[str, Any] | None = None, targets: list[str] | None = None) -> Seen:
    """Return what AWS says of the group."""
    group = {"LaunchTemplate": {"Version": version}, "Instances": list(servers)}
    return Seen(group, refresh, {"arn:x:targetgroup/http/1": ["healthy", "healthy"] if targets is None else targets})


def test_a_group_whose_servers_all_run_the_new_version_is_healthy() -> None:
    """A server that is leaving does no harm."""
    assert health.troubles(STATE, seen(server(), server(), server("2", "Terminating"), refresh={"Status": "Successful"})) == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (Seen(None, None, {}), "AWS does not have the group g"),
        (seen(server(), refresh={"Status": "InProgress", "PercentageComplete": 40}), "still being replaced (40 % of its servers replaced)"),
        (seen(server(), refresh={"Status": "RollbackInProgress"}), "AWS is taking it back"),
        (seen(server("2"), server("2"), version="2", refresh={"Status": "RollbackSuccessful", "StatusReason": "alarm"}), "runs template version 2, and Pulumi gave it 3: alarm"),
        (seen(server(), server(), refresh={"Status": "Failed", "StatusReason": "no capacity"}), "ended as Failed (no capacity), and Pulumi has nothing to change"),
        (seen(server(), server("2")), "1 of at least 2 servers of g run template version 3"),
        (seen(server(), server(), server("2")), "1 servers of g run an older template version than 3"),
        (seen(server(), server(state="Unhealthy")), "1 of at least 2 servers"),
        (seen(server(), server(), targets=["healthy", "unhealthy"]), "1 of at least 2 targets of http are healthy"),
        (Seen(seen(server(), server()).group, None, {"arn:x:targetgroup/http/1": None}), "AWS does not have the target group http"),
    ],
)
def test_what_is_not_well_is_said(what: Seen, told: str) -> None:
    """Each in a sentence that names the object."""
    assert any(told in trouble for trouble in health.troubles(STATE, what))


def test_a_deployment_that_aws_took_back_is_told_from_one_under_way() -> None:
    """The one is Pulumi's state to mend, the other ends by itself."""
    assert health.is_rolled_back(STATE, seen(version="2", refresh={"Status": "RollbackSuccessful"}))
    assert not health.is_rolled_back(STATE, seen(version="2", refresh={"Status": "RollbackInProgress"}))
    assert not health.is_rolled_back(STATE, seen(version="3"))


def test_a_new_group_is_waited_for_until_its_first_checks() -> None:
    """No refresh tells of it; one that AWS took back is not waited for."""
    assert health.is_starting(STATE, seen(server(), server(), targets=["initial", "healthy"]))
    assert health.is_starting(STATE, seen(server()))
    assert not health.is_starting(STATE, seen(server(), server()))
    assert not health.is_starting(STATE, seen(server(), server(), targets=["unhealthy", "unhealthy"]))
    assert not health.is_starting(STATE, seen(version="2"))


def test_only_what_shows_is_passed_on_to_pulumi() -> None:
    """Never what would change what is previewed, gated or applied."""
    assert gating.not_for_up(["--diff", "-m", "--target", "--message=x", "--parallel", "8", "-y", "--refresh"]) == ""
    for option in ("--skip-preview", "-f", "--target", "--target=urn", "-t", "--exclude", "--plan", "-sprod", "--stack", "-c", "--config-file=x", "-yf", "word"):
        assert gating.not_for_up(["--diff", option]) == option


def test_who_does_not_want_to_wait_is_told_who_works(tmp_path: Path) -> None:
    """And leaves no place in the queue behind."""
    with pytest.raises(queueing.LockedError, match=r"another process is changing beta: process 7, since noon"), queueing.turn(tmp_path, "beta", lambda: "process 7, since noon", 0):
        pytest.fail("it is not our turn")
    assert list(tmp_path.glob("*.json")) == []


def test_who_waits_comes_in_order_and_the_dead_are_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is seen."""
    monkeypatch.setattr(queueing, "LOOK_SECONDS", 0.05)
    dead = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(os, "getpid", lambda: dead.pid)
    queueing.draw(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(queueing, "LOOK_SECONDS", 0.05)
    dead.kill()
    dead.wait()
    order: list[str] = []
    holder = ["process 7"]

    def work(name: str) -> None:
        with queueing.turn(tmp_path, "beta", lambda: holder[0], 1):
            order.append(name)
            time.sleep(0.1)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    assert order == []
    holder[0] = ""
    for thread in threads:
        thread.join(timeout=20)
    assert order == ["first", "second"]
    told = capsys.readouterr().err
    assert "beta is being changed by process 7. Waiting: 1. " in told
    assert ", 2. " in told
    assert list(tmp_path.glob("*.json")) == []
