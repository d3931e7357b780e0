"""Whether a service's servers are healthy, judged from AWS's own answers. Pure.

Pulumi's update ends when Auto Scaling has *started* to replace servers. Whether the new ones become healthy, and which
version of the launch template runs in the end, only the group, its instance refresh and its targets can tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.console import count

# Field Status of https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
IN_PROGRESS = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})
UNSUCCESSFUL = frozenset({"Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"})


class Check(StrEnum):
    """The health checks of a group."""

    GROUP_MISSING = "group-missing"
    REFRESH_IN_PROGRESS = "refresh-in-progress"
    NEW_SERVERS_FAIL = "new-servers-fail"
    ROLLED_BACK = "rolled-back"
    REFRESH_UNSUCCESSFUL = "refresh-unsuccessful"
    OLD_SERVERS = "old-servers"
    TOO_FEW_SERVERS = "too-few-servers"
    TARGET_GROUP_MISSING = "target-group-missing"
    TOO_FEW_TARGETS = "too-few-targets"
    OTHER_IMAGE = "other-image"


# What a deployment leaves behind that failed, or that nobody waited for.
UNFINISHED = frozenset({Check.REFRESH_IN_PROGRESS, Check.REFRESH_UNSUCCESSFUL, Check.OLD_SERVERS})


@dataclass(frozen=True)
class Issue:
    """One reason why a group is unhealthy."""

    check: Check
    message: str


@dataclass(frozen=True)
class GroupStatus:
    """What AWS reports about one Auto Scaling group.

    Attributes:
        group: The group as boto3 returns it, or None if AWS has no such group.
        refresh: Its newest instance refresh as boto3 returns it, or None if it never had one.
        start_script: The start script in the launch template version that the group uses; empty if unknown.
        targets: The state of every target, by target group ARN; None for a target group that AWS does not have.
    """

    group: Mapping[str, Any] | None
    refresh: Mapping[str, Any] | None
    targets: Mapping[str, Sequence[str] | None]
    start_script: str = ""


@dataclass(frozen=True)
class ServerReport:
    """What AWS reports about all servers of a service. replaced_at: when they were last replaced, if they ever were."""

    issues: Sequence[Issue] = ()
    replaced_at: datetime | None = None


def expected_version(state: Mapping[str, Any]) -> str:
    """Return the launch template version that Pulumi's state records for a group."""
    return str(((state.get("outputs") or {}).get("launchTemplate") or {}).get("version", ""))


def actual_version(resource: Mapping[str, Any]) -> str:
    """Return the launch template version of a group or a server according to AWS."""
    return str((resource.get("LaunchTemplate") or {}).get("Version", ""))


def is_refreshing(status: GroupStatus) -> bool:
    """Tell whether AWS is replacing servers right now."""
    return status.refresh is not None and status.refresh.get("Status") in IN_PROGRESS


def is_rolled_back(state: Mapping[str, Any], status: GroupStatus) -> bool:
    """Tell whether a deployment was rolled back: the group's version differs from the one in Pulumi's state."""
    if status.group is None or is_refreshing(status):
        return False
    return actual_version(status.group) != expected_version(state)


def is_starting(state: Mapping[str, Any], status: GroupStatus) -> bool:
    """Tell whether new servers still wait for their first health checks.

    A new group has no instance refresh that would show it.
    """
    if status.group is None or is_rolled_back(state, status):
        return False
    has_initial_targets = any("initial" in (targets or ()) for targets in status.targets.values())
    return has_initial_targets or len(servers_in_service(status)) < minimum_size(state)


def servers_in_service(status: GroupStatus) -> list[Mapping[str, Any]]:
    """Return a group's servers that are in service."""
    servers = (status.group or {}).get("Instances") or []
    return [server for server in servers if server.get("LifecycleState") == "InService"]


def minimum_size(state: Mapping[str, Any]) -> int:
    """Return the minimum number of servers of a group."""
    return int((state.get("outputs") or {}).get("minSize") or 0)


def replaced_at(status: GroupStatus) -> datetime | None:
    """Return when the newest instance refresh ended, or None."""
    ended: datetime | None = (status.refresh or {}).get("EndTime")
    return ended


def describe_progress(status: GroupStatus) -> str:
    """Return how far an instance refresh has come."""
    refresh = status.refresh or {}
    prefix = "AWS is rolling back, " if str(refresh.get("Status", "")).startswith("Rollback") else ""
    return f"{prefix}{int(refresh.get('PercentageComplete') or 0)} % of the servers replaced"


def issues(state: Mapping[str, Any], status: GroupStatus, image: str = "", *, is_failing: bool = False) -> list[Issue]:
    """Return why a group is unhealthy; empty if it is healthy.

    image: what its servers should run; empty: any.
    is_failing: whether its new servers were seen to fail one after the other.
    """
    name = str((state.get("outputs") or {}).get("name"))
    if status.group is None:
        return [Issue(Check.GROUP_MISSING, f"the Auto Scaling group {name} does not exist in AWS")]
    if is_refreshing(status) and is_failing:
        message = f"one new server of {name} after the other fails its health checks"
        return [Issue(Check.NEW_SERVERS_FAIL, message)]
    if is_refreshing(status):
        message = f"the servers of {name} are still being replaced ({describe_progress(status)})"
        return [Issue(Check.REFRESH_IN_PROGRESS, message)]
    return [
        *refresh_issues(name, state, status),
        *version_issues(name, state, status),
        *target_issues(state, status),
        *image_issues(name, status, image),
    ]


def runs_well(state: Mapping[str, Any], status: GroupStatus) -> bool:
    """Tell whether enough healthy servers run a group's version, however the newest instance refresh ended.

    state: as Pulumi records it, for the minimum; its version may be outdated.
    """
    if status.group is None or is_refreshing(status):
        return False
    servers = servers_in_service(status)
    healthy = [server for server in servers if server.get("HealthStatus") == "Healthy"]
    versions = {actual_version(server) for server in servers}
    return versions == {actual_version(status.group)} and len(healthy) >= minimum_size(state)


def image_issues(name: str, status: GroupStatus, image: str) -> list[Issue]:
    """Return whether the servers start another image than the release's, whatever Pulumi's state says."""
    if not image or not status.start_script or image in status.start_script:
        return []
    digest = image.rsplit("@", 1)[-1]
    message = f"the servers of {name} do not run the release's image {digest}: their launch template starts another one"
    return [Issue(Check.OTHER_IMAGE, message)]


def refresh_issues(name: str, state: Mapping[str, Any], status: GroupStatus) -> list[Issue]:
    """Return what went wrong with the newest instance refresh."""
    refresh, expected = status.refresh or {}, expected_version(state)
    reason = refresh.get("StatusReason")
    actual = actual_version(status.group or {})
    if actual != expected:
        message = (
            f"the last deployment of {name} was rolled back: it runs launch template version {actual}, "
            f"but Pulumi deployed version {expected}"
        )
        return [Issue(Check.ROLLED_BACK, message + (f". AWS's reason: {reason}" if reason else ""))]
    if refresh.get("Status") in UNSUCCESSFUL:
        because = f" ({reason})" if reason else ""
        message = (
            f"the last instance refresh of {name} ended with status {refresh['Status']}{because}, "
            "and Pulumi sees nothing to change. To start another one:\n"
            f"  aws autoscaling start-instance-refresh --auto-scaling-group-name {name}"
        )
        return [Issue(Check.REFRESH_UNSUCCESSFUL, message)]
    return []


def version_issues(name: str, state: Mapping[str, Any], status: GroupStatus) -> list[Issue]:
    """Return servers that run another version, and whether enough healthy ones run the expected version."""
    expected, minimum = expected_version(state), minimum_size(state)
    servers = servers_in_service(status)
    current = [server for server in servers if actual_version(server) == expected]
    healthy = [server for server in current if server.get("HealthStatus") == "Healthy"]
    result: list[Issue] = []
    outdated = len(servers) - len(current)
    if outdated and actual_version(status.group or {}) == expected:
        message = f"{name} still has {count(outdated, 'server')} on a launch template version other than {expected}"
        result.append(Issue(Check.OLD_SERVERS, message))
    if len(healthy) < minimum:
        message = (
            f"{name} needs at least {count(minimum, 'healthy server')} on launch template version {expected}, "
            f"but has {len(healthy)}"
        )
        result.append(Issue(Check.TOO_FEW_SERVERS, message))
    return result


def target_issues(state: Mapping[str, Any], status: GroupStatus) -> list[Issue]:
    """Return target groups with too few healthy targets."""
    minimum = minimum_size(state)
    result: list[Issue] = []
    for arn, states in status.targets.items():
        label = arn.split(":targetgroup/")[-1].split("/")[0]
        if states is None:
            result.append(Issue(Check.TARGET_GROUP_MISSING, f"the target group {label} does not exist in AWS"))
        elif (healthy := list(states).count("healthy")) < minimum:
            message = f"the target group {label} needs at least {count(minimum, 'healthy target')}, but has {healthy}"
            result.append(Issue(Check.TOO_FEW_TARGETS, message))
    return result
