"""Whether a service's servers came up, by AWS's word: pure, on what AWS answered.

Pulumi's update ends when Auto Scaling has *begun* to replace servers. If they do not come up, AWS goes back to what the group
ran before and Pulumi's state still says the new version. So what is believed is the group, its refresh and its targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html, field Status
UNDER_WAY = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})
WENT_WRONG = frozenset({"Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"})


@dataclass(frozen=True)
class Seen:
    """What AWS says of one group.

    group, refresh: as boto3 returns them, None where there is none. targets: the state of each target, by target group; None
    where AWS does not know the target group.
    """

    group: Mapping[str, Any] | None
    refresh: Mapping[str, Any] | None
    targets: Mapping[str, Sequence[str] | None]


def wanted_version(state: Mapping[str, Any]) -> str:
    """Return the launch template version that Pulumi's state gives a group."""
    return str(((state.get("outputs") or {}).get("launchTemplate") or {}).get("version", ""))


def version_of(thing: Mapping[str, Any]) -> str:
    """Return the launch template version of a group or a server, as AWS has it."""
    return str((thing.get("LaunchTemplate") or {}).get("Version", ""))


def is_rolled_back(state: Mapping[str, Any], seen: Seen) -> bool:
    """Tell whether AWS took a deployment back: the group has another version than Pulumi gave it."""
    return seen.group is not None and not is_under_way(seen) and version_of(seen.group) != wanted_version(state)


def is_under_way(seen: Seen) -> bool:
    """Tell whether servers are being replaced just now."""
    return bool(seen.refresh) and (seen.refresh or {}).get("Status") in UNDER_WAY


def is_starting(state: Mapping[str, Any], seen: Seen) -> bool:
    """Tell whether new servers have not had their first health checks yet; of a new group no refresh tells that."""
    if seen.group is None or is_rolled_back(state, seen):
        return False
    first_checks = any("initial" in (states or ()) for states in seen.targets.values())
    return first_checks or len(in_service(seen)) < least_of(state)


def in_service(seen: Seen) -> list[Mapping[str, Any]]:
    """Return a group's servers that are in service."""
    return [server for server in (seen.group or {}).get("Instances") or [] if server.get("LifecycleState") == "InService"]


def least_of(state: Mapping[str, Any]) -> int:
    """Return how many servers a group has at the least."""
    return int((state.get("outputs") or {}).get("minSize") or 0)


def came_up(seen: Seen) -> datetime | None:
    """Return when the last replacement of servers ended, where one did."""
    ended: datetime | None = (seen.refresh or {}).get("EndTime")
    return ended


def progress(seen: Seen) -> str:
    """Return how far a replacement is."""
    refresh = seen.refresh or {}
    going_back = "AWS is taking it back, " if str(refresh.get("Status", "")).startswith("Rollback") else ""
    return f"{going_back}{int(refresh.get('PercentageComplete') or 0)} % of its servers replaced"


def troubles(state: Mapping[str, Any], seen: Seen) -> list[str]:
    """Return why a group's servers cannot be called healthy; empty where they can."""
    outputs = state.get("outputs") or {}
    name, least = outputs.get("name"), least_of(state)
    if seen.group is None:
        return [f"AWS does not have the group {name}"]
    if is_under_way(seen):
        return [f"servers of {name} are still being replaced ({progress(seen)})"]
    out = []
    wanted, refresh = wanted_version(state), seen.refresh or {}
    if version_of(seen.group) != wanted:
        why = f": {refresh['StatusReason']}" if refresh.get("StatusReason") else ""
        out.append(f"AWS took the last deployment back: {name} runs template version {version_of(seen.group)}, and Pulumi gave it {wanted}{why}")
    elif refresh.get("Status") in WENT_WRONG:
        why = f" ({refresh['StatusReason']})" if refresh.get("StatusReason") else ""
        out.append(
            f"the last replacement of servers of {name} ended as {refresh['Status']}{why}, and Pulumi has nothing to change: "
            f"`aws autoscaling start-instance-refresh --auto-scaling-group-name {name}` begins another"
        )
    servers = in_service(seen)
    new = [server for server in servers if version_of(server) == wanted and server.get("HealthStatus") == "Healthy"]
    old = [server for server in servers if version_of(server) != wanted]
    if old and version_of(seen.group) == wanted:
        out.append(f"{len(old)} servers of {name} run an older template version than {wanted}")
    if len(new) < least:
        out.append(f"{len(new)} of at least {least} servers of {name} run template version {wanted} and are healthy")
    for arn, states in seen.targets.items():
        label = arn.split(":targetgroup/")[-1].split("/")[0]
        if states is None:
            out.append(f"AWS does not have the target group {label}")
        elif (healthy := list(states).count("healthy")) < least:
            out.append(f"{healthy} of at least {least} targets of {label} are healthy")
    return out
