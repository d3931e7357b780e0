"""The whole program on the real engine: what a mock cannot show.

The tests stand in the order they run in: each leaves the environments as the next expects them.
"""

import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engine.conftest import STACKS, Clone, clean_environment


@pytest.mark.usefixtures("environments")
@pytest.mark.parametrize("stack", STACKS)
def test_up_brings_every_service_up(environments: dict[str, str], clone: Clone, stack: str) -> None:
    """All environments beside each other; the table at the end names each service."""
    for service in ("core", "members", "payments", "email", "socket"):
        assert service in environments[stack].rsplit("service", 1)[-1]
    assert "./infra preview" in environments[stack]
    assert not [resource for resource in clone.state(stack) if resource.get("initErrors")]


@pytest.mark.usefixtures("environments")
@pytest.mark.parametrize("stack", STACKS)
def test_a_second_preview_changes_nothing(clone: Clone, stack: str) -> None:
    """What is there is what the program wants."""
    done = clone.infra("preview", stack, "--expect-no-changes")
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("environments")
def test_state_is_readable_by_its_owner_only(clone: Clone) -> None:
    """State files may hold what is private."""
    files = [path for path in clone.paths.state.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


@pytest.mark.usefixtures("environments")
def test_no_password_is_in_the_state(clone: Clone) -> None:
    """AWS keeps it; the state has the ARN of its secret."""
    for resource in clone.state("prod"):
        if resource["type"] == "aws:rds/instance:Instance":
            assert "password" not in resource["inputs"]
            assert not resource["outputs"].get("password")
            assert resource["outputs"]["masterUserSecrets"][0]["secretArn"].startswith("arn:aws:secretsmanager:")


@pytest.mark.usefixtures("environments")
def test_a_changed_tag_is_an_update_in_place(clone: Clone) -> None:
    """Of every resource that has it; nothing is replaced."""
    clone.edit("components/names.py", '"ManagedBy": "pulumi"', '"ManagedBy": "infra"')
    steps = clone.steps("beta")
    clone.edit("components/names.py", '"ManagedBy": "infra"', '"ManagedBy": "pulumi"')
    assert len(steps) > 100
    assert {step["op"] for step in steps} == {"update"}


@pytest.mark.usefixtures("environments")
def test_a_changed_instance_type_changes_that_services_template_and_group(clone: Clone) -> None:
    """And nothing of any other service."""
    text = (clone.root / "Pulumi.alpha.yaml").read_text(encoding="utf-8")
    head, members = text.split("    members:\n", 1)
    (clone.root / "Pulumi.alpha.yaml").write_text(head + "    members:\n" + members.replace("instance_type: t4g.small", "instance_type: t4g.medium", 1), encoding="utf-8")
    steps = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in clone.steps("alpha")}
    assert steps == {"members-servers-template": "update", "members-servers-group": "update"}
    done = clone.infra("up", "alpha")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 updated" in done.stdout
    assert clone.infra("preview", "alpha", "--expect-no-changes").returncode == 0
    resources = {resource["urn"].rsplit("::", 1)[-1]: resource for resource in clone.state("alpha")}
    assert resources["members-servers-group"]["outputs"]["launchTemplate"]["version"] == "2"


@pytest.mark.usefixtures("environments")
def test_the_order_of_the_file_changes_nothing(clone: Clone) -> None:
    """Services are keyed by their names."""
    path = clone.root / "Pulumi.beta.yaml"
    before = path.read_text(encoding="utf-8")
    head, services = before.split("  100xglobal:services:\n", 1)
    blocks: list[str] = []
    for line in services.splitlines(keepends=True):
        if line.startswith("    ") and not line.startswith("     "):
            blocks.append("")
        blocks[-1] += line
    path.write_text(head + "  100xglobal:services:\n" + "".join(reversed(blocks)), encoding="utf-8")
    steps = clone.steps("beta")
    path.write_text(before, encoding="utf-8")
    assert steps == []


SERVICES = ("core", "members", "payments", "email", "socket")


def moved(clone: Clone, service: str, source: str, target: str) -> None:
    """Promote one service, in the files."""
    done = clone.infra("promote", service, "--from", source, "--to", target, "--hotfix", "--reason", "the tests cannot wait for the soak")
    assert done.returncode == 0, done.stdout


def brought_up(clone: Clone, target: str, arriving: tuple[str, ...]) -> dict[str, str]:
    """Return what a preview changes, having brought the target up and seen that all arrived and nothing is left to do."""
    steps = clone.steps(target)
    up = clone.infra("up", target)
    assert up.returncode == 0, up.stdout[-3000:]
    assert "The gate is open." in up.stdout
    for service in arriving:
        assert re.search(rf"^{service} \S+ has arrived in {target}", up.stdout, re.MULTILINE), up.stdout[-3000:]
    again = clone.infra("preview", target, "--expect-no-changes")
    assert again.returncode == 0, again.stdout
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if "pulumi:pulumi:Stack" not in step["urn"]}


def expected(*services: str) -> dict[str, str]:
    """Return what the promotion of services changes: their template and group."""
    return {f"{service}-servers-{part}": "update" for service in services for part in ("template", "group")}


@pytest.mark.usefixtures("environments")
def test_each_service_moves_to_beta_and_prod_and_nothing_else_does(clone: Clone) -> None:
    """Ten promotions on the engine: each changes that service alone, replaces nothing, and a second preview is empty."""
    path = clone.root / "Pulumi.alpha.yaml"
    text = re.sub(r"(?m)^(        version: \d+\.\d+\.)\d+$", r"\g<1>99", path.read_text(encoding="utf-8"))
    text = re.sub(r"@sha256:.", "@sha256:0", text).replace("ami-0123456789abcdef0", "ami-0123456789abcdef1").replace('{SIGN_UP: "open"}', '{SIGN_UP: "closed", NEW: "1"}')
    path.write_text(text, encoding="utf-8")
    refused = clone.infra("promote", "members", "--from", "alpha", "--to", "beta")
    assert refused.returncode == 1
    assert "bring alpha up" in refused.stdout
    up = clone.infra("up", "alpha")
    assert up.returncode == 0, up.stdout[-3000:]
    refused = clone.infra("promote", "members", "--from", "alpha", "--to", "beta")
    assert "must for 1 h" in refused.stdout
    # Two of them by two people at once: both files merged, both arrive with one `up`.
    for service in SERVICES[:2]:
        moved(clone, service, "alpha", "beta")
    assert brought_up(clone, "beta", SERVICES[:2]) == expected(*SERVICES[:2])
    # Then a service goes on to prod while the next goes to beta: two stacks at once, as two teams would.
    to_beta, to_prod = {}, {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for index, service in enumerate(SERVICES):
            moved(clone, service, "beta", "prod")
            prod = pool.submit(brought_up, clone, "prod", (service,))
            if index + 2 < len(SERVICES):
                following = SERVICES[index + 2]
                moved(clone, following, "alpha", "beta")
                to_beta[following] = brought_up(clone, "beta", (following,))
            to_prod[service] = prod.result()
    assert to_beta == {service: expected(service) for service in SERVICES[2:]}
    assert to_prod == {service: expected(service) for service in SERVICES}
    history = clone.infra("history", "members").stdout
    assert [line.split()[2] for line in history.splitlines()] == ["hotfix", "arrive", "hotfix", "arrive"]


@pytest.mark.usefixtures("environments")
def test_a_newer_database_is_an_update_in_place(clone: Clone) -> None:
    """Not a replacement; only the record misses that somebody promoted it."""
    path = clone.root / "Pulumi.prod.yaml"
    kept = path.read_text(encoding="utf-8")
    head, payments = kept.split("    payments:\n", 1)
    path.write_text(f"{head}    payments:\n{payments.replace('16.9', '16.10', 1)}", encoding="utf-8")
    steps, gate = clone.steps("prod"), clone.infra("gate", "prod", "--format", "json")
    path.write_text(kept, encoding="utf-8")
    assert {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps} == {"payments-database-instance": "update"}
    report = json.loads(gate.stdout[gate.stdout.index("{") :])
    assert {finding["rule"] for finding in report["findings"]} == {"record"}, report


@pytest.mark.usefixtures("environments")
def test_the_table_tells_versions_and_drift(clone: Clone) -> None:
    """What somebody changed by hand at AWS is told, of the service that it belongs to."""
    quiet = clone.infra("status")
    assert quiet.returncode == 0, quiet.stdout
    assert quiet.stdout.count("1.4.99") == 3
    assert "drifted" not in quiet.stdout, quiet.stdout
    place = clone.aws("beta")
    group = next(resource for resource in clone.state("beta") if resource["urn"].endswith("::socket-servers-group"))
    place.update_auto_scaling_group(AutoScalingGroupName=group["id"], MaxSize=9)
    assert "drifted:" in clone.infra("status").stdout
    place.update_auto_scaling_group(AutoScalingGroupName=group["id"], MaxSize=group["outputs"]["maxSize"])
    same = clone.infra("status", "members")
    assert "alpha and beta: the same release" in same.stdout, same.stdout


@pytest.mark.usefixtures("environments")
def test_the_gate_refuses_a_change_that_nobody_meant(clone: Clone) -> None:
    """A change of code, in every service at once, while no block changed; `up` refuses it too, and changes nothing."""
    clone.edit("components/names.py", '"ManagedBy": "pulumi"', '"ManagedBy": "infra"')
    gate, up, meant = clone.infra("gate", "beta"), clone.infra("up", "beta"), clone.infra("gate", "beta", "--meant", "everything")
    clone.edit("components/names.py", '"ManagedBy": "infra"', '"ManagedBy": "pulumi"')
    assert gate.returncode == up.returncode == 3
    assert "whose block did not change" in gate.stdout
    assert "--meant core --meant email --meant foundation --meant members" in up.stdout
    assert meant.returncode == 0, meant.stdout
    assert clone.infra("preview", "beta", "--expect-no-changes").returncode == 0


@pytest.mark.usefixtures("environments")
def test_the_gate_sees_a_changed_provider_a_lost_protection_and_a_release_written_by_hand(clone: Clone) -> None:
    """None of them is a step that changes something; the environment's file is what somebody edited."""
    path = clone.root / "Pulumi.beta.yaml"
    kept = path.read_text(encoding="utf-8")
    text = kept.replace("  aws:region: us-east-1\n", "  aws:region: us-east-1\n  aws:maxRetries: 7\n").replace("1.4.99", "1.5.0")
    path.write_text(text.replace("durability: {", "durability: {protect_data: false, "), encoding="utf-8")
    done = clone.infra("gate", "beta", "--format", "json")
    path.write_text(kept, encoding="utf-8")
    assert done.returncode == 3, done.stdout
    report = json.loads(done.stdout[done.stdout.index("{") :])
    rules = {finding["rule"] for finding in report["findings"]}
    # The environment's own block changed, and with it what the services have of it: that is not theirs, and so outside.
    assert rules == {"provider", "protect", "record", "outside"}, report
    assert any("loses its protection" in finding["message"] for finding in report["findings"])
    assert any("deletionProtection goes to false" in finding["message"] for finding in report["findings"])


@pytest.mark.usefixtures("environments")
def test_adding_a_service_changes_no_existing_resource(clone: Clone) -> None:
    """Events, switched on: everything is new, and below it."""
    clone.edit("Pulumi.beta.yaml", "enabled: false # true switches it on", "enabled: true")
    steps = [step for step in clone.steps("beta") if "pulumi:pulumi:Stack" not in step["urn"]]
    gate = clone.infra("gate", "beta")
    clone.edit("Pulumi.beta.yaml", "enabled: true", "enabled: false # true switches it on")
    assert len(steps) > 30
    assert {step["op"] for step in steps} == {"create"}
    assert all("ServiceEnvironment$" in step["urn"] or step["urn"].endswith("ServiceEnvironment::events") for step in steps)
    assert gate.returncode == 0, gate.stdout


# --- bad days


@pytest.mark.usefixtures("environments")
def test_a_stack_without_its_file_is_refused(clone: Clone) -> None:
    """Pulumi itself would delete everything."""
    file = clone.root / "Pulumi.prod.yaml"
    kept = file.read_bytes()
    file.unlink()
    done = clone.infra("up", "prod")
    file.write_bytes(kept)
    assert done.returncode == 1
    assert "there is no Pulumi.prod.yaml" in done.stdout
    assert "Traceback" not in done.stdout
    assert len(clone.state("prod")) > 300


@pytest.mark.usefixtures("environments")
def test_a_wrong_file_registers_nothing(clone: Clone) -> None:
    """Every problem at once, and plain Pulumi says the same."""
    file = clone.root / "Pulumi.alpha.yaml"
    kept = file.read_text(encoding="utf-8")
    file.write_text(kept.replace("instance_type:", "instance_typ:").replace("nat: single", "nat: one"), encoding="utf-8")
    done = clone.infra("preview", "alpha")
    file.write_text(kept, encoding="utf-8")
    assert done.returncode != 0
    assert "did you mean 'instance_type'" in done.stdout
    assert "services.members.sizing.instance_typ" in done.stdout
    assert "environment.network.nat" in done.stdout
    assert "Traceback" not in done.stdout
    assert " aws:" not in done.stdout, "a resource was registered"


@pytest.mark.usefixtures("environments")
def test_data_is_not_deleted_by_down(clone: Clone) -> None:
    """Beta protects its data, here as on AWS."""
    done = clone.infra("down", "beta")
    assert done.returncode == 1
    assert "protect_data: false" in done.stdout
    assert len(clone.state("beta")) > 300


@pytest.mark.usefixtures("environments")
def test_the_sandboxs_state_is_refused_against_real_aws(clone: Clone) -> None:
    """A shell that kept half of `./infra env`."""
    exports = clone.infra("env", "alpha").stdout
    script = f"{exports}\nunset AWS_ENDPOINT_URL\nexport AWS_ACCESS_KEY_ID=AKIAREAL\npulumi preview --stack alpha --non-interactive"
    done = subprocess.run(["bash", "-c", script], cwd=clone.root, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "would be run against real AWS" in done.stdout + done.stderr


@pytest.mark.usefixtures("environments")
def test_plain_pulumi_works_with_the_exports(clone: Clone) -> None:
    """`eval "$(./infra env beta)"`, then the official commands; the clone's own files stay as they are."""
    before = (clone.root / "Pulumi.beta.yaml").read_bytes()
    exports = clone.infra("env", "beta").stdout
    script = f"{exports}\npulumi preview --stack beta --non-interactive --expect-no-changes"
    done = subprocess.run(["bash", "-c", script], cwd=clone.root, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone.root / "Pulumi.beta.yaml").read_bytes() == before


@pytest.mark.usefixtures("environments")
def test_pending_operations_are_told_and_not_repeated(clone: Clone) -> None:
    """A state whose last change was killed: Pulumi itself would create the same again."""
    file = clone.paths.state / ".pulumi" / "stacks" / "100xglobal" / "prod.json"
    kept = file.read_text(encoding="utf-8")
    state: dict[str, Any] = json.loads(kept)
    latest = state["checkpoint"]["latest"]
    victim = next(resource for resource in latest["resources"] if resource["urn"].endswith("::members-servers-scaling"))
    latest["resources"].remove(victim)
    latest["pending_operations"] = [{"resource": {key: victim[key] for key in ("urn", "custom", "type", "inputs", "parent", "provider")}, "type": "creating"}]
    file.write_text(json.dumps(state), encoding="utf-8")
    done = clone.infra("up", "prod")
    file.write_text(kept, encoding="utf-8")
    assert done.returncode == 1
    assert "members-servers-scaling" in done.stdout
    assert "--clear-pending-creates" in done.stdout


@pytest.mark.usefixtures("environments")
def test_the_emulated_aws_comes_back_with_its_state(clone: Clone) -> None:
    """Killed, it is found stale, started again, and knows all that it had answered for."""
    status = clone.infra("sandbox", "status").stdout
    pid = int(status.split("process ", 1)[1].split(" ", 1)[0])
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    assert "ended by itself or was killed" in clone.infra("sandbox", "status").stdout
    done = clone.infra("pulumi", "refresh", "--stack", "prod", "--preview-only", "--expect-no-changes", "--parallel", "64")
    assert "AWS is gone" not in done.stdout
    assert "to delete" not in done.stdout, done.stdout[-3000:]
    assert "- deleted" not in done.stdout


@pytest.mark.usefixtures("environments")
def test_down_leaves_nothing(clone: Clone) -> None:
    """Neither in the state nor in the emulated AWS; interrupted first, and gone on with."""
    first = clone.start("down", "alpha")
    time.sleep(15)
    os.killpg(first.pid, signal.SIGINT)
    output, _ = first.communicate()
    assert first.returncode != 0
    assert "Traceback" not in output
    second = clone.start("down", "alpha")
    time.sleep(8)
    third = clone.infra("down", "alpha")  # while the other works
    printed, _ = second.communicate()
    assert second.returncode == 0, printed[-3000:]
    assert third.returncode == 1
    assert "is changing alpha" in third.stdout
    assert clone.state("alpha") == []
    clone.infra("sandbox", "stop")
    # What the emulated AWS holds of an account stands under its number. A key waits 30 days for its deletion, on AWS too.
    resources = re.compile(r"(222222222222|333333333333)\\u0000[a-z0-9-]+\\u0000'(vpc-|subnet-|i-|sg-|arn:aws:elasticloadbalancing|[a-z]+-database-instance|[a-z-]+-group-)")
    held: dict[str, set[str]] = {"222222222222": set(), "333333333333": set()}
    for file in (clone.paths.emulator / "state").glob("*.json"):
        payload = json.loads(file.read_text(encoding="utf-8"))["payload"]
        text = json.dumps({key: value for key, value in payload.items() if "tag" not in key.lower()}) if isinstance(payload, dict) else ""
        for account, kind in resources.findall(text):
            held[account].add(f"{file.name} {kind}")
    assert len(held["333333333333"]) >= 4, "beta is still there, so that this looks in the right places"
    # AWS makes a default VPC with each account; the environment's own are told by their range.
    assert {kind for kind in held["222222222222"] if not kind.startswith("ec2.json")} == set()
    ec2 = (clone.paths.emulator / "state" / "ec2.json").read_text(encoding="utf-8")
    assert '"CidrBlock": "10.20.' in ec2
    assert '"CidrBlock": "10.10.' not in ec2
