"""Server health: whether the servers of a group are healthy, judged from what AWS reports."""

import pytest
from syrupy.assertion import SnapshotAssertion

from release import health
from release.health import Check, GroupStatus
from tests.unit.release_builders import GROUP, group_status, server

UNHEALTHY: dict[str, tuple[GroupStatus, set[Check]]] = {
    "no group": (GroupStatus(None, None, {}), {Check.GROUP_MISSING}),
    "being replaced": (
        group_status(server(), refresh={"Status": "InProgress", "PercentageComplete": 40}),
        {Check.REFRESH_IN_PROGRESS},
    ),
    "being rolled back": (
        group_status(server(), refresh={"Status": "RollbackInProgress"}),
        {Check.REFRESH_IN_PROGRESS},
    ),
    "rolled back": (
        group_status(
            server("2"),
            server("2"),
            version="2",
            refresh={"Status": "RollbackSuccessful", "StatusReason": "an alarm went off"},
        ),
        {Check.ROLLED_BACK, Check.TOO_FEW_SERVERS},
    ),
    "one new server after the other": (
        group_status(server(), refresh={"Status": "InProgress", "PercentageComplete": 0}),
        {Check.NEW_SERVERS_FAIL},
    ),
    "refresh failed": (
        group_status(server(), server(), refresh={"Status": "Failed", "StatusReason": "no capacity"}),
        {Check.REFRESH_UNSUCCESSFUL},
    ),
    "an old server instead of a new one": (
        group_status(server(), server("2")),
        {Check.OLD_SERVERS, Check.TOO_FEW_SERVERS},
    ),
    "an old server besides the new ones": (group_status(server(), server(), server("2")), {Check.OLD_SERVERS}),
    "an unhealthy server": (group_status(server(), server(health="Unhealthy")), {Check.TOO_FEW_SERVERS}),
    "an unhealthy target": (
        group_status(server(), server(), targets=["healthy", "unhealthy"]),
        {Check.TOO_FEW_TARGETS},
    ),
    "no target group": (
        GroupStatus(group_status(server(), server()).group, None, {"arn:x:targetgroup/http/1": None}),
        {Check.TARGET_GROUP_MISSING},
    ),
    "another image": (
        GroupStatus(
            group_status(server(), server()).group,
            None,
            {"arn:x:targetgroup/http/1": ["healthy", "healthy"]},
            "docker run registry/members@sha256:1",
        ),
        {Check.OTHER_IMAGE},
    ),
}
FAILING = {"one new server after the other"}  # whose new servers were seen to fail
IMAGE = "registry/members@sha256:2"  # of the deployed release


def issues_of(name: str) -> list[health.Issue]:
    """Return the issues of an example."""
    return health.issues(GROUP, UNHEALTHY[name][0], IMAGE, is_failing=name in FAILING)


def test_a_group_whose_servers_run_the_new_version_is_healthy() -> None:
    """A server that is being terminated does not matter."""
    status = group_status(server(), server(), server("2", "Terminating"), refresh={"Status": "Successful"})
    assert health.issues(GROUP, status) == []


@pytest.mark.parametrize("name", UNHEALTHY)
def test_an_unhealthy_group_has_issues(name: str) -> None:
    """Each check that fails is one issue."""
    _, checks = UNHEALTHY[name]
    issues = issues_of(name)
    assert {issue.check for issue in issues} == checks
    assert len(issues) == len(checks)


def test_messages(snapshot: SnapshotAssertion) -> None:
    """Each issue names the group or target group, and what AWS reports about it."""
    assert {check for _, checks in UNHEALTHY.values() for check in checks} == set(Check)
    messages = {name: [f"{issue.check}: {issue.message}" for issue in issues_of(name)] for name in UNHEALTHY}
    assert messages == snapshot


@pytest.mark.parametrize(
    ("status", "is_rolled_back"),
    [
        (group_status(version="2", refresh={"Status": "RollbackSuccessful"}), True),
        (group_status(version="2", refresh={"Status": "RollbackInProgress"}), False),
        (group_status(version="3"), False),
        (GroupStatus(None, None, {}), False),
    ],
    ids=["rolled back", "being rolled back", "not rolled back", "no group"],
)
def test_a_deployment_that_was_rolled_back_is_recognised(status: GroupStatus, *, is_rolled_back: bool) -> None:
    """Pulumi's state is outdated then; a rollback in progress ends by itself first."""
    assert health.is_rolled_back(GROUP, status) is is_rolled_back


@pytest.mark.parametrize(
    ("status", "is_starting"),
    [
        (group_status(server(), server(), targets=["initial", "healthy"]), True),
        (group_status(server()), True),
        (group_status(server(), server()), False),
        (group_status(server(), server(), targets=["unhealthy", "unhealthy"]), False),
        (group_status(version="2"), False),
    ],
    ids=["first health checks", "too few servers", "healthy", "unhealthy", "rolled back"],
)
def test_new_servers_start_until_their_first_health_checks(status: GroupStatus, *, is_starting: bool) -> None:
    """No instance refresh shows that; a group that was rolled back is not starting."""
    assert health.is_starting(GROUP, status) is is_starting
