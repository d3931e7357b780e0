"""Asks AWS about the servers of a service. release/health.py judges the answers."""

import base64
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cli.aws_clients import AwsClients
from cli.backends import AWS, Backend
from common.console import progress, say
from release import health
from release.health import GroupStatus, Issue, ServerReport
from release.journal import SANDBOX
from release.server_rollback import FailureWatch
from release.stack_state import StackState, name_of

POLL_SECONDS = {AWS: 5.0, SANDBOX: 1.0}
FIRST_CHECKS_MINUTES = 10  # starting a server, pulling its image, and two health checks
# AWS itself gives up on a server after an hour:
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html
MAXIMUM_MINUTES = 60
GroupState = Mapping[str, Any]  # an Auto Scaling group as Pulumi's state has it
Groups = Sequence[tuple[GroupState, GroupStatus]]  # each with what AWS reports about it


class AwsClient:
    """The AWS APIs that know about servers, for one stack."""

    def __init__(self, backend: Backend, stack: str) -> None:
        """Create the clients. This does not call AWS yet."""
        clients = AwsClients(backend, stack, "the health of the servers")
        self.errors = clients.errors
        self.auto_scaling = clients.client("autoscaling")
        self.load_balancing = clients.client("elbv2")
        self.ec2 = clients.client("ec2")

    def statuses(self, states: Sequence[GroupState]) -> Groups:
        """Return each group of Pulumi's state with what AWS reports about it."""
        with self.errors():
            return [(state, self.group_status(state.get("outputs") or {})) for state in states]

    def group_status(self, outputs: Mapping[str, Any]) -> GroupStatus:
        """Return what AWS reports about one group."""
        name = str(outputs.get("name"))
        groups = self.auto_scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not groups:
            return GroupStatus(None, None, {})
        answer = self.auto_scaling.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=1)
        refreshes = answer["InstanceRefreshes"]
        targets = {arn: self.target_states(arn) for arn in outputs.get("targetGroupArns") or []}
        return GroupStatus(groups[0], refreshes[0] if refreshes else None, targets, self.start_script(groups[0]))

    def start_script(self, group: Mapping[str, Any]) -> str:
        """Return the start script in the launch template version that a group uses; empty if it has none."""
        template = group.get("LaunchTemplate") or {}
        if not template.get("LaunchTemplateId"):
            return ""
        answer = self.ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[str(template["Version"])]
        )
        versions = answer["LaunchTemplateVersions"]
        user_data = versions[0]["LaunchTemplateData"].get("UserData", "") if versions else ""
        return base64.b64decode(user_data).decode("utf-8", "replace")

    def target_states(self, arn: str) -> list[str] | None:
        """Return the state of each target of a target group, or None if the target group does not exist."""
        try:
            targets = self.load_balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        except self.load_balancing.exceptions.TargetGroupNotFoundException:
            return None
        return [str(target["TargetHealth"]["State"]) for target in targets]


def statuses(backend: Backend, deployed: StackState, services: Sequence[str]) -> Groups:
    """Return each group of these services with what AWS reports about it."""
    states = [state for service in services for state in deployed.groups(service)]
    return AwsClient(backend, deployed.stack).statuses(states) if states else []


def server_report(backend: Backend, deployed: StackState, service: str) -> ServerReport:
    """Return what AWS reports about all servers of a service."""
    groups = statuses(backend, deployed, [service])
    replaced_at = [ended for _, status in groups if (ended := health.replaced_at(status))]
    image = image_of(deployed, service)
    issues = [issue for state, status in groups for issue in health.issues(state, status, image)]
    return ServerReport(issues, max(replaced_at, default=None))


def server_issues(
    backend: Backend, deployed: StackState, services: Sequence[str], failing: Collection[str] = ()
) -> dict[str, list[Issue]]:
    """Return what makes the servers of each service unhealthy. failing: URNs of groups whose new servers fail."""
    states = {service: deployed.groups(service) for service in services}
    if not any(states.values()):
        return {service: [] for service in services}
    client = AwsClient(backend, deployed.stack)
    return {
        service: [
            issue
            for state, status in client.statuses(groups)
            for issue in health.issues(
                state, status, image_of(deployed, service), is_failing=str(state["urn"]) in failing
            )
        ]
        for service, groups in states.items()
    }


def image_of(deployed: StackState, service: str) -> str:
    """Return the image of a service's deployed release; empty if it has none."""
    return str((deployed.release(service) or {}).get("image", ""))


def rolled_back_groups(groups: Groups) -> list[str]:
    """Return the URNs of groups that run another version than Pulumi deployed, so that its state is outdated."""
    return [str(state["urn"]) for state, status in groups if health.is_rolled_back(state, status)]


def wait_for_servers(backend: Backend, deployed: StackState, services: Sequence[str]) -> set[str]:
    """Wait until AWS has finished replacing servers of these services, or until it is clear that the new ones fail.

    Returns the URNs of groups whose new servers fail. Ctrl-C stops waiting; AWS continues on its own.
    """
    states = [state for service in services for state in deployed.groups(service)]
    if not states:
        return set()
    client = AwsClient(backend, deployed.stack)
    started = time.monotonic()
    watches = {str(state["urn"]): FailureWatch() for state in states}
    failing: set[str] = set()
    with progress("waiting for the new servers") as line:
        while time.monotonic() < started + MAXIMUM_MINUTES * 60:
            groups = client.statuses(states)
            failing |= {
                str(state["urn"])
                for state, status in groups
                if health.is_refreshing(status) and watches[str(state["urn"])].is_failing(status)
            }
            in_progress = [
                f"{name_of(state['urn'])}: {health.describe_progress(status)}"
                for state, status in groups
                if health.is_refreshing(status) and state["urn"] not in failing
            ]
            if not in_progress and time.monotonic() < started + FIRST_CHECKS_MINUTES * 60:
                in_progress = [
                    f"{name_of(state['urn'])}: first health checks"
                    for state, status in groups
                    if health.is_starting(state, status)
                ]
            if not in_progress:
                return failing
            line.show("; ".join(in_progress))
            time.sleep(POLL_SECONDS[backend.name])
    say(
        f"servers are still being replaced after {MAXIMUM_MINUTES} min. To see the result later:\n"
        f"  ./infra status{backend.suffix}"
    )
    return failing
