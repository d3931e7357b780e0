"""Rolls servers back: when the servers of a new release fail, their group returns to the version that ran before."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cli import server_health
from cli.backends import Backend
from cli.server_health import AwsClient, Groups
from common.console import say
from common.errors import InfraError
from release import health
from release.server_rollback import Return, plan_return
from release.stack_state import StackState, name_of, owner_of, parents_by_urn

CANCEL_MINUTES = 15  # AWS lets a server that is being replaced finish first
# As in components/auto_scaling.py, so that going back is as careful as going forward.
PREFERENCES = {
    "MinHealthyPercentage": 100,
    "MaxHealthyPercentage": 150,
    "SkipMatching": True,
    "AutoRollback": False,
}
Versions = Mapping[str, str]  # launch template versions of groups, by URN


@dataclass(frozen=True)
class ServersBefore:
    """How the servers were before an update.

    Attributes:
        healthy: The launch template version of each group whose servers were healthy, by the group's URN.
        unfinished: The services whose servers an earlier update left in the middle of being replaced.
    """

    healthy: Versions = field(default_factory=dict)
    unfinished: Collection[str] = ()


def look_at_servers(backend: Backend, deployed: StackState) -> ServersBefore:
    """Return how the servers are before an update.

    Updates Pulumi's state where a deployment was rolled back; otherwise Pulumi would find nothing to do.
    """
    groups = server_health.statuses(backend, deployed, deployed.services())
    urns = server_health.rolled_back_groups(groups)
    for urn in urns:
        say(f"the last deployment of {name_of(urn)} was rolled back. Updating Pulumi's state to match.")
    refresh_groups(backend, deployed.stack, urns)
    parents = parents_by_urn(deployed.resources)
    unfinished = {
        owner_of(str(state["urn"]), parents)
        for state, status in groups
        if health.UNFINISHED & {issue.check for issue in health.issues(state, status)}
    }
    return ServersBefore(healthy_versions(groups), unfinished)


def healthy_versions(groups: Groups) -> dict[str, str]:
    """Return the launch template version of each group whose servers are healthy and all run it."""
    return {
        str(state["urn"]): health.actual_version(status.group or {})
        for state, status in groups
        if health.runs_well(state, status)
    }


def roll_back(backend: Backend, deployed: StackState, services: Sequence[str], before: Versions) -> None:
    """Return servers that failed to the version that ran before, and say what became of them.

    before: the versions that were healthy before the update.
    """
    environment = deployed.stack
    try:
        lines = return_groups(backend, deployed, services, before)
    except (InfraError, KeyboardInterrupt) as error:
        say(
            f"the servers were not returned to the previous release: {str(error) or 'interrupted'}\n"
            f"To try that again:\n  ./infra up {environment}{backend.suffix}"
        )
        return
    for service, outcome in lines.items():
        say(f"{service}: {'; '.join(outcome)}")
    say(
        f"To make the file and the journal say so as well:\n"
        f"  ./infra rollback SERVICE {environment} --reason ... --up{backend.suffix}\n"
        f"To try the new release again:\n  ./infra up {environment}{backend.suffix}"
    )


def return_groups(
    backend: Backend, deployed: StackState, services: Sequence[str], before: Versions
) -> dict[str, list[str]]:
    """Return the groups of services whose servers fail to a good version, wait, and update Pulumi's state.

    Returns, for each service, what became of its groups, for whoever runs `./infra up`.
    """
    plans = {
        service: [
            plan_return(state, status, before.get(str(state["urn"]), ""))
            for state, status in server_health.statuses(backend, deployed, [service])
        ]
        for service in services
    }
    returns = [entry for group in plans.values() for entry in group if entry is not None]
    if returns:
        say("returning servers to their previous release: " + ", ".join(name_of(entry.urn) for entry in returns))
        client = AwsClient(backend, deployed.stack)
        for entry in returns:
            return_group(client, entry, server_health.POLL_SECONDS[backend.name])
        refresh_groups(backend, deployed.stack, [entry.urn for entry in returns])
        server_health.wait_for_servers(backend, backend.state(deployed.stack), services)
    return {
        service: [describe(entry) for entry in group] or ["has no group of servers"] for service, group in plans.items()
    }


def return_group(client: AwsClient, entry: Return, poll_seconds: float) -> None:
    """Change a group's launch template version in AWS, and replace the servers of the failed one."""
    with client.errors():
        if entry.is_refreshing:
            cancel_refresh(client, entry.name, poll_seconds)
        template = {"LaunchTemplateId": entry.template, "Version": entry.version}
        # First the group itself: from now on, every server that scaling starts runs the good version.
        client.auto_scaling.update_auto_scaling_group(AutoScalingGroupName=entry.name, LaunchTemplate=template)
        client.auto_scaling.start_instance_refresh(
            AutoScalingGroupName=entry.name, Strategy="Rolling", Preferences=PREFERENCES
        )


def cancel_refresh(client: AwsClient, group: str, poll_seconds: float) -> None:
    """Cancel a group's instance refresh, and wait until AWS has done so: it allows no second one at the same time."""
    try:
        client.auto_scaling.cancel_instance_refresh(AutoScalingGroupName=group)
    except client.auto_scaling.exceptions.ActiveInstanceRefreshNotFoundFault:
        return  # it has just ended
    deadline = time.monotonic() + CANCEL_MINUTES * 60
    while time.monotonic() < deadline:
        answer = client.auto_scaling.describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
        if not any(refresh["Status"] in health.IN_PROGRESS for refresh in answer["InstanceRefreshes"]):
            return
        time.sleep(poll_seconds)
    raise InfraError(f"AWS did not cancel the instance refresh of {group} within {CANCEL_MINUTES} min")


def refresh_groups(backend: Backend, stack: str, urns: Sequence[str]) -> None:
    """Update Pulumi's state of groups whose version was changed outside of an update."""
    if not urns:
        return
    targets = [argument for urn in urns for argument in ("--target", urn)]
    done = backend.capture(["refresh", "--stack", stack, "--yes", "--skip-preview", *targets], stack)
    if done.returncode != 0:
        names = ", ".join(map(name_of, urns))
        raise InfraError(f"the state of {names} cannot be refreshed: {done.stderr.strip() or done.stdout.strip()}")


def describe(entry: Return | None) -> str:
    """Return what became of a group."""
    if entry is None:
        return "no earlier version of its servers is known to be healthy, so its group was left as it is"
    return (
        f"{entry.name} runs launch template version {entry.version} again; the servers of version {entry.failed} failed"
    )
