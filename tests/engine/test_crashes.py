"""What happens if something dies during `up`. The environment is small, so that it can die often.

The tests run in this order: each of them leaves the environment as the next one expects it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from sandbox.emulator import process as emulator
from sandbox.session import Session
from tests.engine.conftest import Clone, make_clone, only_socket, resource_name

SHUTDOWN_SECONDS = 120
CREATION_SECONDS = 180
KILL_DOWN_AFTER_SECONDS = 8


@pytest.fixture(scope="module")
def small(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone in which alpha has the foundation and socket, the service without data."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("small clone"))
    path = clone.root / "Pulumi.alpha.yaml"
    path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    yield clone
    emulator.stop(clone.paths)


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


def test_up_fails_if_the_emulator_is_killed_and_keeps_what_was_created(small: Clone) -> None:
    """`up` ends with exit code 1 and names the emulator's log, and the state keeps all resources."""
    process = start_up(small, 60)
    running = emulator.find(small.paths)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    assert f"(process {running.pid})" in output
    assert str(emulator.log_file(small.paths)) in output
    assert "Traceback" not in output
    assert len(small.state("alpha")) >= 60


def test_a_terminated_up_waits_for_pulumi(small: Clone) -> None:
    """A canceled CI job terminates `./infra` alone. Pulumi completes what it is doing, and nothing is pending."""
    process = start_up(small, len(small.state("alpha")) + 5)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    assert "  ./infra up alpha\n" in output
    assert small.lock_files("alpha") == []
    assert not small.deployment("alpha").get("pending_operations")


def test_up_can_be_interrupted_and_continued(small: Clone) -> None:
    """After Ctrl-C, `up` names the command that continues; that command completes the environment."""
    process = start_up(small, len(small.state("alpha")) + 5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode not in {ExitCode.SUCCESS, None}
    assert "  ./infra up alpha\n" in output
    assert "Traceback" not in output
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert "socket" in done.stdout
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS
    assert_nothing_exists_twice(small)


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


def test_up_continues_after_the_provider_was_killed(small: Clone) -> None:
    """Pulumi records that creations failed; `up` asks AWS whether they did."""
    small.edit("Pulumi.alpha.yaml", "    events:\n      enabled: false", "    events:\n      enabled: true")
    process = start_up(small, len(small.state("alpha")) + 5)
    for pid in processes_of(small, "sandbox.bridge"):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=SHUTDOWN_SECONDS)
    assert process.returncode == ExitCode.FAILED
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert_nothing_exists_twice(small)


def kill_everything(clone: Clone, process: "subprocess.Popen[str]") -> None:
    """Kill `up`, Pulumi, and the engine's plugins, which run in process groups of their own."""
    os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["pkill", "-KILL", "-f", str(clone.paths.home)], check=False)
    process.communicate()


def test_the_same_command_continues_after_a_kill(small: Clone) -> None:
    """`up` removes the dead lock, asks AWS about each operation that did not complete, and creates nothing twice."""
    small.edit("Pulumi.alpha.yaml", "    members:\n      enabled: false\n", "    members:\n")
    process = start_up(small, len(small.state("alpha")) + 25)
    kill_everything(small, process)
    assert len(small.lock_files("alpha")) == 1
    pending = [operation["resource"]["urn"] for operation in small.deployment("alpha")["pending_operations"]]
    assert pending
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert small.lock_files("alpha") == []
    assert [urn for urn in pending if f"  {resource_name(urn)}: " not in done.stdout] == []
    assert small.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS
    assert_nothing_exists_twice(small)


def test_a_killed_first_up_continues(small: Clone) -> None:
    """The gate still knows that the environment was empty, so the same command creates the rest."""
    assert small.infra("down", "alpha").returncode == ExitCode.SUCCESS
    kill_everything(small, start_up(small, 60))
    assert small.deployment("alpha").get("pending_operations")
    done = small.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert_nothing_exists_twice(small)


def test_a_killed_down_continues(small: Clone) -> None:
    """Nothing is left, neither in the state nor in AWS."""
    process = small.start("down", "alpha")
    time.sleep(KILL_DOWN_AFTER_SECONDS)
    kill_everything(small, process)
    assert small.state("alpha")
    done = small.infra("down", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout
    assert small.state("alpha") == []
    assert set(resource_counts(small).values()) == {0}


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
