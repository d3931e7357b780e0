"""Asks AWS whether a service's servers came up. The answers are judged in release/health.py."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cli.places import Place
from release import health
from release.deployed import Deployed, name_of
from release.health import Seen
from release.promote import Servers
from sandbox.console import progress
from sandbox.errors import SandboxError

LOOK_SECONDS = 5.0
FIRST_CHECKS_MINUTES = 10  # a server's start, its image, and two health checks
LONGEST_MINUTES = 60  # AWS itself gives up on a server after an hour (https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html)


class Asked:
    """AWS, as one place and stack reach it. `Any`: boto3's clients are made at run time, without types."""

    def __init__(self, place: Place, stack: str) -> None:
        """Make the clients; asks nothing yet."""
        import boto3  # noqa: PLC0415 a quarter of a second that only who asks AWS pays
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 see above

        self.stack, self.place = stack, place
        arguments = place.aws(stack)
        endpoint = arguments.pop("endpoint_url", None)
        try:
            session = boto3.Session(**arguments)
            self.scaling: Any = session.client("autoscaling", endpoint_url=endpoint)
            self.balancing: Any = session.client("elbv2", endpoint_url=endpoint)
        except BotoCoreError as error:  # a profile that this machine has not, or no region
            raise self.failed(error) from error

    def failed(self, error: Exception) -> SandboxError:
        """Return what to tell where AWS does not answer."""
        return SandboxError(
            f"AWS could not be asked whether the servers of {self.stack} are healthy ({error}). "
            + ("See `./infra sandbox status`." if self.place.name == "sandbox" else f"Log in to the account of {self.stack}, or name its profile as aws:profile in its file.")
        )

    def groups(self, states: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Seen]]:
        """Return each group of Pulumi's state with what AWS says of it."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 see above

        try:
            return [(state, self.group(state.get("outputs") or {})) for state in states]
        except (BotoCoreError, ClientError) as error:
            raise self.failed(error) from error

    def group(self, outputs: Mapping[str, Any]) -> Seen:
        """Return what AWS says of one group."""
        name = str(outputs.get("name"))
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            return Seen(None, None, {})
        refreshes = self.scaling.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=1)["InstanceRefreshes"]
        return Seen(found[0], refreshes[0] if refreshes else None, {arn: self.targets(arn) for arn in outputs.get("targetGroupArns") or []})

    def targets(self, arn: str) -> list[str] | None:
        """Return the state of each target of a target group."""
        try:
            found = self.balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        except self.balancing.exceptions.TargetGroupNotFoundException:
            return None
        return [str(target["TargetHealth"]["State"]) for target in found]


def servers_of(place: Place, deployed: Deployed, service: str) -> Servers:
    """Return what AWS says of one service's servers."""
    states = deployed.groups(service)
    found = Asked(place, deployed.stack).groups(states) if states else []
    ended = [time for _, seen in found if (time := health.came_up(seen))]
    return Servers([trouble for state, seen in found for trouble in health.troubles(state, seen)], max(ended, default=None))


def unhealthy(place: Place, deployed: Deployed, services: Sequence[str]) -> dict[str, list[str]]:
    """Return what AWS says against the servers of each service."""
    states = {service: deployed.groups(service) for service in services}
    if not any(states.values()):
        return {service: [] for service in services}
    asked = Asked(place, deployed.stack)
    return {service: [trouble for state, seen in asked.groups(found) for trouble in health.troubles(state, seen)] for service, found in states.items()}


def taken_back(place: Place, deployed: Deployed, services: Sequence[str]) -> list[str]:
    """Return the URNs of groups whose last deployment AWS took back, so that Pulumi's state says what is not so."""
    states = [state for service in services for state in deployed.groups(service)]
    return [str(state["urn"]) for state, seen in Asked(place, deployed.stack).groups(states) if health.is_rolled_back(state, seen)] if states else []


def wait_for_servers(place: Place, deployed: Deployed, services: Sequence[str]) -> None:
    """Return when no server of these services is being replaced any more; Ctrl-C leaves AWS to go on by itself."""
    states = [state for service in services for state in deployed.groups(service)]
    if not states:
        return
    asked = Asked(place, deployed.stack)
    deadline, first_checks_end = (time.monotonic() + minutes * 60 for minutes in (LONGEST_MINUTES, FIRST_CHECKS_MINUTES))
    with progress("waiting for the new servers") as line:
        while time.monotonic() < deadline:
            found = asked.groups(states)
            going = [f"{name_of(state['urn'])}: {health.progress(seen)}" for state, seen in found if health.is_under_way(seen)]
            if not going and time.monotonic() < first_checks_end:
                going = [f"{name_of(state['urn'])}: first health checks" for state, seen in found if health.is_starting(state, seen)]
            if not going:
                return
            line.show("; ".join(going))
            time.sleep(LOOK_SECONDS if place.name == "aws" else LOOK_SECONDS / 5)
    sys.stderr.write(f"infra: servers are still being replaced after {LONGEST_MINUTES} min; `./infra status{place.suffix}` tells how it ends\n")
