"""Rolling servers back: which version a group returns to, and what is sent to AWS."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli import server_health, server_rollback
from common.errors import InfraError
from release.health import GroupStatus
from release.server_rollback import LOST_SERVERS, FailureWatch, good_version, plan_return
from tests.unit.fake_backend import FakeBackend, make_backend
from tests.unit.release_builders import GROUP, group_status, server

IN_PROGRESS = {"Status": "InProgress", "PercentageComplete": 0}
UNHEALTHY = "Unhealthy"


class AbsentError(Exception):
    """What AWS answers if no instance refresh is in progress."""


class AutoScaling:
    """Records the requests that change something."""

    def __init__(self, *, statuses: list[str], is_absent: bool = False) -> None:
        """Remember the states that the newest instance refresh will have, one after the other."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.statuses, self.is_absent = statuses, is_absent
        self.exceptions = type("Exceptions", (), {"ActiveInstanceRefreshNotFoundFault": AbsentError})

    def cancel_instance_refresh(self, **arguments: Any) -> None:
        """Cancel the refresh, if there is one."""
        self.requests.append(("cancel", arguments))
        if self.is_absent:
            raise AbsentError

    def describe_instance_refreshes(self, **_arguments: Any) -> Mapping[str, Any]:
        """Return the next state; the last one stays."""
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"InstanceRefreshes": [{"Status": status}]}

    def update_auto_scaling_group(self, **arguments: Any) -> None:
        """Change the group."""
        self.requests.append(("update", arguments))

    def start_instance_refresh(self, **arguments: Any) -> None:
        """Replace servers."""
        self.requests.append(("refresh", arguments))


class Client:
    """Stands for cli.server_health.AwsClient."""

    def __init__(self, auto_scaling: AutoScaling) -> None:
        """Use the given API."""
        self.auto_scaling = auto_scaling

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Let errors pass."""
        yield


def roll_back(
    monkeypatch: pytest.MonkeyPatch, backend: FakeBackend, status: GroupStatus, api: AutoScaling, before: str = "2"
) -> tuple[dict[str, list[str]], list[list[str]]]:
    """Return the servers of members; return what is reported, and Pulumi's commands."""
    commands: list[list[str]] = []
    capture = backend.capture

    def recorded(arguments: list[str], stack: str) -> Any:
        if arguments[0] == "refresh":
            commands.append(arguments)
            arguments = ["stack", "output", "--json"]
        return capture(arguments, stack)

    monkeypatch.undo()
    monkeypatch.setattr(backend, "capture", recorded)
    monkeypatch.setattr(server_health, "statuses", lambda *_: [(GROUP, status)])
    monkeypatch.setattr(server_health, "wait_for_servers", lambda *_: set())
    monkeypatch.setattr(server_rollback, "AwsClient", lambda *_: Client(api))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    deployed = backend.state("beta")
    lines = server_rollback.return_groups(backend, deployed, ["members"], {str(GROUP["urn"]): before} if before else {})
    return lines, commands


@pytest.fixture
def backend(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return a backend with beta."""
    return make_backend(release_folder, monkeypatch)


# --- which version


@pytest.mark.parametrize(
    ("servers", "before", "expected"),
    [
        ([server("2"), server("2"), server("3", health=UNHEALTHY)], "", "2"),
        ([server("2"), server("1"), server("2")], "1", "2"),
        ([server("2", health=UNHEALTHY), server("3")], "1", "1"),
        ([server("3", health=UNHEALTHY)], "2", "2"),
        ([server("3")], "3", ""),
        ([], "", ""),
    ],
    ids=[
        "the old servers still run",
        "most of the old servers",
        "unhealthy old servers prove nothing",
        "only new servers are left",
        "the version did not change",
        "nothing was ever healthy",
    ],
)
def test_the_version_to_return_to(servers: list[dict[str, Any]], before: str, expected: str) -> None:
    """Healthy servers of another version prove that it works; otherwise what was healthy before the update."""
    assert good_version(group_status(*servers), before) == expected


def test_a_group_that_is_gone_cannot_return() -> None:
    """AWS has nothing that could be changed."""
    assert plan_return(GROUP, GroupStatus(None, None, {}), "2") is None


# --- when to stop waiting


def test_new_servers_that_fail_one_after_the_other_are_noticed() -> None:
    """The third failed server is enough; a server that stays healthy is no failure."""
    watch, kept = FailureWatch(), [server("2", name="old-1"), server("2", name="old-2")]
    failures = []
    for number in range(LOST_SERVERS + 1):
        failed = server("3", health=UNHEALTHY, name=f"new-{number}")
        failures.append(watch.is_failing(group_status(*kept, failed, refresh=IN_PROGRESS)))
    assert failures == [False, False, True, True]


def test_new_servers_that_disappear_count_as_failed() -> None:
    """Auto Scaling can terminate one before anybody sees that it is unhealthy."""
    watch = FailureWatch()
    results = [
        watch.is_failing(group_status(server("3", name=f"new-{number}"), refresh=IN_PROGRESS)) for number in range(5)
    ]
    assert not any(results), "there is always a healthy one"
    assert watch.is_failing(group_status(refresh=IN_PROGRESS))


def test_progress_is_no_failure() -> None:
    """Some servers of the new version already passed their health checks."""
    watch = FailureWatch()
    progress = {"Status": "InProgress", "PercentageComplete": 50}
    assert not any(
        watch.is_failing(group_status(server("3", health=UNHEALTHY, name=f"new-{number}"), refresh=progress))
        for number in range(5)
    )


# --- what is sent to AWS


def test_a_group_returns_to_the_version_before(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the group, so that scaling starts good servers; then its servers; then Pulumi's state."""
    api = AutoScaling(statuses=["Failed"])
    status = group_status(server(health=UNHEALTHY), refresh={"Status": "Failed"})
    lines, commands = roll_back(monkeypatch, backend, status, api)
    assert [name for name, _ in api.requests] == ["update", "refresh"]
    assert api.requests[0][1]["LaunchTemplate"] == {"LaunchTemplateId": "lt", "Version": "2"}
    assert api.requests[1][1]["Preferences"]["MinHealthyPercentage"] == 100
    assert [command[-2:] for command in commands] == [["--target", GROUP["urn"]]]
    assert lines == {"members": ["g runs launch template version 2 again; the servers of version 3 failed"]}


@pytest.mark.parametrize("is_absent", [True, False])
def test_a_refresh_in_progress_is_cancelled_first(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, *, is_absent: bool
) -> None:
    """AWS allows one at a time. It may also have ended just now."""
    api = AutoScaling(statuses=["Cancelling", "Cancelled"], is_absent=is_absent)
    status = group_status(server("2"), refresh=IN_PROGRESS)
    roll_back(monkeypatch, backend, status, api)
    assert [name for name, _ in api.requests] == ["cancel", "update", "refresh"]
    assert api.statuses == (["Cancelling", "Cancelled"] if is_absent else ["Cancelled"])


def test_a_refresh_that_cannot_be_cancelled_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is left as it is, and the message says so."""
    api = AutoScaling(statuses=["Cancelling"])
    monkeypatch.setattr(server_rollback, "CANCEL_MINUTES", 0)
    with pytest.raises(InfraError):
        server_rollback.cancel_refresh(Client(api), "g", 0)  # type: ignore[arg-type] # a stand-in
    assert [name for name, _ in api.requests] == ["cancel"]


def test_without_a_healthy_version_nothing_changes(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example the first release of a service: there is nothing to return to."""
    api = AutoScaling(statuses=["Failed"])
    lines, commands = roll_back(monkeypatch, backend, group_status(server(health=UNHEALTHY)), api, before="")
    assert (api.requests, commands) == ([], [])
    assert lines["members"] == [
        "no earlier version of its servers is known to be healthy, so its group was left as it is"
    ]
