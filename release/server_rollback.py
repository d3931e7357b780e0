"""Which launch template version to return to when the servers of a new one fail. Pure.

AWS does not do this for us. Pulumi's provider changes the group's version first and starts the instance refresh
afterwards, so that to AWS the failing version is also the previous one:
https://github.com/hashicorp/terraform-provider-aws/issues/34189
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from release import health
from release.health import GroupStatus

LOST_SERVERS = 3  # how many new servers may fail while none succeeds; AWS itself goes on for an hour


@dataclass(frozen=True)
class Return:
    """A group that returns to another launch template version.

    Attributes:
        urn: The group.
        name: Its name in AWS.
        template: The ID of its launch template.
        version: The version to return to.
        failed: The version whose servers failed.
        is_refreshing: Whether an instance refresh is in progress, which has to be cancelled first.
    """

    urn: str
    name: str
    template: str
    version: str
    failed: str
    is_refreshing: bool


def good_version(status: GroupStatus, before: str) -> str:
    """Return the version that a group should run instead of its current one; empty if none is known to be good.

    That is the version of its other servers if they are healthy: an instance refresh keeps them until new ones are.

    before: the version that it ran when its servers were last seen healthy; empty if unknown.
    """
    current = health.actual_version(status.group or {})
    others = Counter(
        health.actual_version(server)
        for server in health.servers_in_service(status)
        if server.get("HealthStatus") == "Healthy" and health.actual_version(server) != current
    )
    if others:
        return others.most_common(1)[0][0]
    return before if before != current else ""


def plan_return(state: Mapping[str, Any], status: GroupStatus, before: str) -> Return | None:
    """Return how a group whose servers failed returns to a good version, or None if it cannot."""
    group = status.group or {}
    template = group.get("LaunchTemplate") or {}
    version = good_version(status, before)
    if not version or not template.get("LaunchTemplateId"):
        return None
    return Return(
        urn=str(state["urn"]),
        name=str(group["AutoScalingGroupName"]),
        template=str(template["LaunchTemplateId"]),
        version=version,
        failed=health.actual_version(group),
        is_refreshing=health.is_refreshing(status),
    )


@dataclass
class FailureWatch:
    """Notices that the new servers of a group fail one after the other, long before AWS gives up.

    Attributes:
        failed: The IDs of servers of the current version that were seen unhealthy or disappeared.
        present: The IDs of those that are there now.
    """

    failed: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=set)

    def is_failing(self, status: GroupStatus) -> bool:
        """Look at a group whose servers are being replaced; tell whether the new servers are failing."""
        servers: Sequence[Mapping[str, Any]] = (status.group or {}).get("Instances") or []
        current = health.actual_version(status.group or {})
        new = [server for server in servers if health.actual_version(server) == current]
        healthy = {server["InstanceId"] for server in new if server.get("HealthStatus") == "Healthy"}
        ids = {str(server["InstanceId"]) for server in new}
        self.failed |= (self.present - ids) | (ids - healthy)
        self.present = ids
        has_progress = bool((status.refresh or {}).get("PercentageComplete"))
        return len(self.failed) >= LOST_SERVERS and not has_progress and not (healthy - self.failed)
