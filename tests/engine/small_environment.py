"""An environment that is small enough to be cut off often, and whether AWS has nothing of it twice."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.conftest import Clone

SHUTDOWN_SECONDS = 120
CREATION_SECONDS = 180


def start_up(clone: Clone, resources: int) -> "subprocess.Popen[str]":
    """Start `up`; return it as soon as the state has this many resources."""
    process = clone.start("up", "alpha")
    deadline = time.monotonic() + CREATION_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(clone.state("alpha")) >= resources:
                return process
        except (OSError, ValueError, KeyError):
            pass  # the state does not exist yet, or is being written
        time.sleep(0.3)
    output, _ = process.communicate()
    pytest.fail(f"`up` never had {resources} resources: {output}")


def processes_of(clone: Clone, module: str) -> list[int]:
    """Return the processes of a module that Pulumi has started in a clone's sandbox."""
    home = f"PULUMI_HOME={clone.paths.home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            arguments, variables = ((folder / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
            if module.encode() in arguments and home in variables:
                found.append(int(folder.name))
    assert found
    return found


def kill_everything(clone: Clone, process: "subprocess.Popen[str]") -> None:
    """Kill `up`, Pulumi, and the engine's plugins, which run in process groups of their own."""
    os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["pkill", "-KILL", "-f", str(clone.paths.home)], check=False)
    process.communicate()


# What a second `up` would make twice: the client, the operation, the key of its answer, and the type in the state.
COUNTED = (
    ("ec2", "describe_vpcs", "Vpcs", "aws:ec2/vpc:Vpc"),
    ("ec2", "describe_nat_gateways", "NatGateways", "aws:ec2/natGateway:NatGateway"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "aws:ec2/launchTemplate:LaunchTemplate"),
    ("rds", "describe_db_instances", "DBInstances", "aws:rds/instance:Instance"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "aws:lb/loadBalancer:LoadBalancer"),
    ("elbv2", "describe_target_groups", "TargetGroups", "aws:lb/targetGroup:TargetGroup"),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "aws:autoscaling/group:Group"),
    ("acm", "list_certificates", "CertificateSummaryList", "aws:acm/certificate:Certificate"),
    ("route53", "list_hosted_zones", "HostedZones", "aws:route53/zone:Zone"),
    ("s3", "list_buckets", "Buckets", "aws:s3/bucket:Bucket"),
    ("iam", "list_instance_profiles", "InstanceProfiles", "aws:iam/instanceProfile:InstanceProfile"),
)


def resource_counts(clone: Clone) -> dict[str, int]:
    """Return how many resources of each counted type alpha's account has."""
    counts = {}
    for service, operation, key, resource_type in COUNTED:
        items = getattr(clone.aws("alpha", service), operation)()[key]
        existing = [item for item in items if item.get("State") != "deleted" and not item.get("IsDefault")]
        counts[resource_type] = len(existing)
    return counts


def assert_nothing_exists_twice(clone: Clone) -> None:
    """Check that AWS has as many resources as the state: nothing exists twice, and nothing is orphaned."""
    types = [resource["type"] for resource in clone.state("alpha")]
    assert resource_counts(clone) == {resource_type: types.count(resource_type) for *_, resource_type in COUNTED}
