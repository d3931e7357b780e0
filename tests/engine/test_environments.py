"""The whole program on the real engine: what mocks cannot show.

The tests run in this order: each of them leaves the environments as the next one expects them. They are in one file,
so that the environments are deployed once.
"""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.aws_clients import AwsClients
from cli.aws_lookup import REPEATABLE, Lookup
from cli.exit_codes import ExitCode
from release import approvals, journal, unfinished
from release.changes import KEEP
from release.danger import Kind
from release.gate import Cause
from release.stack_state import FOUNDATION
from sandbox.emulator import process as emulator
from sandbox.session import PARALLEL
from tests.engine.conftest import STACKS, Clone, resource_name

SERVICES = ("core", "members", "payments", "email", "socket")
ACCOUNTS = {"alpha": "222222222222", "beta": "333333333333"}
TAG = '"ManagedBy": "pulumi"'
OTHER_TAG = '"ManagedBy": "infra"'
TAGS_FILE = "components/tags.py"
ALARMS_FILE = "components/database_alarms.py"
KEY_FILE = "components/encryption_key.py"
KEY_TYPE = "aws:kms/key:Key"
GROUP_TYPE = "aws:autoscaling/group:Group"
PROTECT_OPTION = "option:protect"
EVENTS_OFF = "enabled: false # set it to true to create the service"
POLICY = "    return policy_document(*statements)"
EXTRA_STATEMENT = (
    "    if scope.service == 'events':\n"
    "        statements.append({'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'})\n"
)
MINIMUM = "min_size=args.sizing.instances.minimum"
SOCKET_SIZE = """idle_timeout_seconds: 120}
      sizing:
        instance_type: t4g.small
        instances: {minimum: 2"""

pytestmark = pytest.mark.usefixtures("environments")


@contextmanager
def restored(path: Path) -> Iterator[str]:
    """Yield a file's text, and restore it after the block."""
    content = path.read_bytes()
    try:
        yield content.decode("utf-8")
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("stack", STACKS)
def test_up_deploys_every_service(environments: dict[str, str], clone: Clone, stack: str) -> None:
    """`up` ends with a table of all services and what to do next, although all environments are deployed at once."""
    table = environments[stack].rsplit("service", 1)[-1]
    assert [service for service in SERVICES if service not in table] == []
    assert f"./infra preview {stack}" in table
    assert not [resource for resource in clone.state(stack) if resource.get("initErrors")]


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_after_up_has_no_changes(clone: Clone, stack: str) -> None:
    """After `up`, the stack is exactly what the program describes."""
    done = clone.infra("preview", stack, "--expect-no-changes")
    assert done.returncode == ExitCode.SUCCESS, done.stdout


def test_state_is_readable_by_its_owner_only(clone: Clone) -> None:
    """No other user can read the state, which can contain secrets."""
    files = [path for path in clone.paths.state.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_no_password_is_in_the_state(clone: Clone) -> None:
    """AWS stores the passwords of databases; the state only contains the ARNs of their secrets."""
    databases = [resource for resource in clone.state("prod") if resource["type"] == "aws:rds/instance:Instance"]
    assert databases
    for resource in databases:
        assert "password" not in resource["inputs"]
        assert not resource["outputs"].get("password")
        assert resource["outputs"]["masterUserSecrets"][0]["secretArn"].startswith("arn:aws:secretsmanager:")


def test_a_changed_tag_is_an_update_in_place(clone: Clone) -> None:
    """A change of a tag updates every resource that has it and replaces none."""
    clone.edit(TAGS_FILE, TAG, OTHER_TAG)
    steps = clone.steps("beta")
    clone.edit(TAGS_FILE, OTHER_TAG, TAG)
    assert len(steps) > 100
    assert {step["op"] for step in steps} == {"update"}


def test_a_changed_instance_type_only_changes_that_services_template_and_group(clone: Clone) -> None:
    """A new instance type updates the service's launch template and Auto Scaling group, and nothing else."""
    path = clone.root / "Pulumi.alpha.yaml"
    head, members = path.read_text(encoding="utf-8").split("    members:\n", 1)
    members = members.replace("instance_type: t4g.small", "instance_type: t4g.medium", 1)
    path.write_text(f"{head}    members:\n{members}", encoding="utf-8")
    assert clone.operations("alpha") == {"members-servers-template": "update", "members-servers-group": "update"}
    done = clone.infra("up", "alpha")
    assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]
    assert "2 updated" in done.stdout  # from Pulumi's own summary
    assert clone.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS
    resources = {resource_name(resource["urn"]): resource for resource in clone.state("alpha")}
    assert resources["members-servers-group"]["outputs"]["launchTemplate"]["version"] == "2"


def test_the_order_of_services_in_the_file_does_not_matter(clone: Clone) -> None:
    """A file with its services in another order leads to no changes."""
    path = clone.root / "Pulumi.beta.yaml"
    with restored(path) as text:
        head, services = text.split("  100xglobal:services:\n", 1)
        blocks: list[str] = []
        for line in services.splitlines(keepends=True):
            if line.startswith("    ") and not line.startswith("     "):
                blocks.append("")
            blocks[-1] += line
        path.write_text(f"{head}  100xglobal:services:\n{''.join(reversed(blocks))}", encoding="utf-8")
        assert clone.steps("beta") == []


# --- releases


def promote(clone: Clone, service: str, source: str, target: str) -> None:
    """Promote a service in the files, without waiting for the soak time."""
    hotfix = ("--hotfix", "--reason", "the tests cannot wait for the soak time")
    done = clone.infra("promote", service, "--from", source, "--to", target, *hotfix)
    assert done.returncode == ExitCode.SUCCESS, done.stdout


def deploy(clone: Clone, target: str, services: tuple[str, ...]) -> dict[str, str]:
    """Deploy promoted services and return what the preview would change.

    The gate passes, the journal records every service as deployed, and nothing is left to do.
    """
    operations = clone.operations(target)
    up = clone.infra("up", target)
    assert up.returncode == ExitCode.SUCCESS, up.stdout[-3000:]
    for service in services:
        event = journal.read(clone.root, service)[-1]
        assert (event.kind, event.environment) == ("deployed", target), up.stdout[-3000:]
        assert event.gate
    again = clone.infra("preview", target, "--expect-no-changes")
    assert again.returncode == ExitCode.SUCCESS, again.stdout
    return operations


def changes_of(*services: str) -> dict[str, str]:
    """Return what a promotion of services changes: their launch templates and Auto Scaling groups."""
    return {f"{service}-servers-{part}": "update" for service in services for part in ("template", "group")}


def release_everything(clone: Clone) -> None:
    """Write new releases of all services into alpha's file."""
    path = clone.root / "Pulumi.alpha.yaml"
    text = re.sub(r"(?m)^(        version: \d+\.\d+\.)\d+$", r"\g<1>99", path.read_text(encoding="utf-8"))
    text = re.sub(r"@sha256:.", "@sha256:0", text)
    text = text.replace("ami-0123456789abcdef0", "ami-0123456789abcdef1")
    text = text.replace('{SIGN_UP: "open"}', '{SIGN_UP: "closed", NEW: "1"}')
    path.write_text(text, encoding="utf-8")


def test_each_promotion_changes_only_its_own_service(clone: Clone) -> None:
    """Each of ten promotions changes one service, replaces nothing, and is recorded as deployed."""
    release_everything(clone)
    beta = (clone.root / "Pulumi.beta.yaml").read_bytes()
    undeployed = clone.infra("promote", "members", "--from", "alpha", "--to", "beta")
    assert undeployed.returncode == ExitCode.FAILED
    assert "./infra up alpha\n" in undeployed.stdout
    up = clone.infra("up", "alpha")
    assert up.returncode == ExitCode.SUCCESS, up.stdout[-3000:]
    soaking = clone.infra("promote", "members", "--from", "alpha", "--to", "beta")
    assert soaking.returncode == ExitCode.FAILED
    assert "./infra up alpha\n" not in soaking.stdout
    assert "--hotfix" in soaking.stdout
    assert journal.read(clone.root) == []
    assert (clone.root / "Pulumi.beta.yaml").read_bytes() == beta
    # Two people promote a service each at the same time, and one `up` deploys both.
    for service in SERVICES[:2]:
        promote(clone, service, "alpha", "beta")
    assert deploy(clone, "beta", SERVICES[:2]) == changes_of(*SERVICES[:2])
    # One service is deployed to prod while the next one is deployed to beta, as two teams would do.
    beta_operations, prod_operations = {}, {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for index, service in enumerate(SERVICES):
            promote(clone, service, "beta", "prod")
            prod = pool.submit(deploy, clone, "prod", (service,))
            if index + 2 < len(SERVICES):
                following = SERVICES[index + 2]
                promote(clone, following, "alpha", "beta")
                beta_operations[following] = deploy(clone, "beta", (following,))
            prod_operations[service] = prod.result()
    assert beta_operations == {service: changes_of(service) for service in SERVICES[2:]}
    assert prod_operations == {service: changes_of(service) for service in SERVICES}
    kinds = ["hotfix", "deployed", "hotfix", "deployed"]
    assert [event.kind for event in journal.read(clone.root, "members")] == kinds
    history = clone.infra("history", "members").stdout
    assert [line.split()[2] for line in history.splitlines()] == kinds


def test_a_newer_database_engine_is_an_update_in_place(clone: Clone) -> None:
    """A minor version updates the database; only the release, which nobody promoted, needs an approval."""
    path = clone.root / "Pulumi.prod.yaml"
    with restored(path) as text:
        head, payments = text.split("    payments:\n", 1)
        path.write_text(f"{head}    payments:\n{payments.replace('16.13', '16.14', 1)}", encoding="utf-8")
        operations, (_, report) = clone.operations("prod"), clone.gate_report("prod")
    assert operations == {"payments-database-instance": "update"}
    assert report["blockers"] == []
    unexpected = [(item["owner"], item["property"], item["cause"]) for item in report["unexpected"]]
    assert unexpected == [("payments", "release", Cause.UNEXPLAINED)], report


def test_status_shows_versions_and_drift(clone: Clone) -> None:
    """A resource that was changed by hand is shown as drift, and the same release has no differences to itself."""
    group = next(resource for resource in clone.state("beta") if resource["urn"].endswith("::socket-servers-group"))
    before = clone.infra("status")
    assert before.returncode == ExitCode.SUCCESS, before.stdout
    assert before.stdout.count("1.4.99") == 3
    assert "socket-servers-group" not in before.stdout, before.stdout
    aws = clone.aws("beta")
    aws.update_auto_scaling_group(AutoScalingGroupName=group["id"], MaxSize=9)
    assert "socket-servers-group" in clone.infra("status").stdout
    aws.update_auto_scaling_group(AutoScalingGroupName=group["id"], MaxSize=group["outputs"]["maxSize"])
    members = clone.infra("status", "members")
    assert members.returncode == ExitCode.SUCCESS
    assert members.stdout.count("1.4.99") == 3
    assert " -> " not in members.stdout, members.stdout


# --- the gate


@contextmanager
def edited(clone: Clone, file: str, old: str, new: str) -> Iterator[None]:
    """Edit a file of the program, and undo that after the block."""
    with restored(clone.root / file):
        clone.edit(file, old, new)
        yield


@contextmanager
def approvals_of(clone: Clone) -> Iterator[Path]:
    """Yield the folder of the approvals, and delete it after the block."""
    folder = clone.root / approvals.FOLDER
    assert not folder.exists()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def approve(clone: Clone, stack: str) -> None:
    """Approve exactly the changes of a stack that fail the gate."""
    done = clone.infra("approve", stack, "--reason", "the tests intend this change")
    assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]


def properties(report: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (property, cause) of the changes that need an approval."""
    return {(item["property"], item["cause"]) for item in report["unexpected"]}


def danger_kinds(report: dict[str, Any]) -> set[str]:
    """Return the kinds of dangers in a gate's report."""
    return {danger["kind"] for item in report["unexpected"] for danger in item["dangers"]}


def key_protections(clone: Clone, stack: str) -> set[bool]:
    """Return whether the KMS keys of a stack are protected, according to its state."""
    keys = [resource for resource in clone.state(stack) if resource["type"] == KEY_TYPE]
    assert len(keys) > 1
    return {bool(key.get("protect")) for key in keys}


def test_a_code_change_of_every_resource_needs_an_approval_by_every_owner(clone: Clone) -> None:
    """A code change affects services whose configuration is unchanged: the gate and `up` refuse it until approved."""
    with edited(clone, TAGS_FILE, TAG, OTHER_TAG), approvals_of(clone) as folder:
        exit_code, report = clone.gate_report("beta")
        up = clone.infra("up", "beta")
        approve(clone, "beta")
        files = sorted(path.relative_to(clone.root).as_posix() for path in folder.glob("*/*.yaml"))
        approved_exit_code, approved = clone.gate_report("beta")
    assert exit_code == up.returncode == ExitCode.GATE_FAILED
    assert report["blockers"] == report["expected"] == report["approvals"] == []
    assert {item["cause"] for item in report["unexpected"]} == {Cause.CODE}
    owners = sorted([*SERVICES, FOUNDATION])
    assert sorted({item["owner"] for item in report["unexpected"]}) == owners
    assert "  ./infra approve beta --reason ...\n" in up.stdout
    assert [Path(file).parent.name for file in files] == owners
    assert approved_exit_code == ExitCode.SUCCESS, approved
    assert approved["approvals"] == files
    assert all(item["approved"] for item in approved["unexpected"])
    assert clone.infra("preview", "beta", "--expect-no-changes").returncode == ExitCode.SUCCESS


def test_an_approval_covers_exactly_one_value(clone: Clone) -> None:
    """`up` applies a code change after its approval; the same change with another value is refused."""
    current, approved, other = (f'{percent}, "percent of the instance' for percent in (80, 81, 82))
    with approvals_of(clone) as folder:
        with edited(clone, ALARMS_FILE, current, approved):
            exit_code, report = clone.gate_report("alpha")
            refused = clone.infra("up", "alpha")
            approve(clone, "alpha")
        owners = {path.parent.name for path in folder.glob("*/*.yaml")}
        with edited(clone, ALARMS_FILE, current, other):
            other_exit_code, other_report = clone.gate_report("alpha")
        with edited(clone, ALARMS_FILE, current, approved):
            up = clone.infra("up", "alpha")
            again = clone.infra("preview", "alpha", "--expect-no-changes")
    assert exit_code == refused.returncode == ExitCode.GATE_FAILED
    assert properties(report) == {("threshold", Cause.CODE), ("alarmDescription", Cause.CODE)}
    assert {resource_name(item["urn"]) for item in report["unexpected"]} == {f"{name}-database-cpu" for name in owners}
    assert other_exit_code == ExitCode.GATE_FAILED
    assert not any(item["approved"] for item in other_report["unexpected"])
    assert up.returncode == ExitCode.SUCCESS, up.stdout[-3000:]
    assert again.returncode == ExitCode.SUCCESS, again.stdout
    # Without the approvals, the way back needs the option of the sandbox.
    refused = clone.infra("up", "alpha")
    assert refused.returncode == ExitCode.GATE_FAILED
    back = clone.infra("up", "alpha", "--allow-changes")
    assert back.returncode == ExitCode.SUCCESS, back.stdout[-3000:]
    assert clone.infra("preview", "alpha", "--expect-no-changes").returncode == ExitCode.SUCCESS


def test_lost_protection_alone_is_refused(clone: Clone) -> None:
    """If only `protect` changes, Pulumi's preview shows no change at all, and the gate and `up` still refuse it."""
    with edited(clone, KEY_FILE, "protect=protect)", "protect=False)"):
        preview = clone.infra("preview", "beta", "--expect-no-changes")
        exit_code, report = clone.gate_report("beta")
        up = clone.infra("up", "beta")
    assert preview.returncode == ExitCode.SUCCESS, preview.stdout
    assert exit_code == up.returncode == ExitCode.GATE_FAILED
    assert "up to date" not in up.stdout
    assert properties(report) == {(PROTECT_OPTION, Cause.CODE)}
    assert all(KEY_TYPE in item["urn"] for item in report["unexpected"])
    assert danger_kinds(report) == {Kind.LOST_PROTECTION}
    assert key_protections(clone, "beta") == {True}


def test_up_applies_a_change_of_options_only(clone: Clone) -> None:
    """An environment in which only `protect` would change is not up to date; `up` changes it, in both directions."""
    assert key_protections(clone, "alpha") == {False}
    with edited(clone, KEY_FILE, "protect=protect)", "protect=True)"):
        exit_code, report = clone.gate_report("alpha")
        up = clone.infra("up", "alpha", "--allow-changes")
        protections = key_protections(clone, "alpha")
        again = clone.infra("up", "alpha")
    assert exit_code == ExitCode.GATE_FAILED
    assert properties(report) == {(PROTECT_OPTION, Cause.CODE)}
    assert danger_kinds(report) == set()
    assert up.returncode == ExitCode.SUCCESS, up.stdout[-3000:]
    assert "up to date" not in up.stdout
    assert protections == {True}
    assert again.returncode == ExitCode.SUCCESS, again.stdout[-3000:]
    assert "alpha is up to date" in again.stdout
    refused = clone.infra("up", "alpha")
    assert refused.returncode == ExitCode.GATE_FAILED
    assert key_protections(clone, "alpha") == {True}
    back = clone.infra("up", "alpha", "--allow-changes")
    assert back.returncode == ExitCode.SUCCESS, back.stdout[-3000:]
    assert key_protections(clone, "alpha") == {False}


def test_an_upgrade_of_the_provider_is_approved_as_one_change(clone: Clone) -> None:
    """Pulumi creates another default provider and moves every resource to it; nothing changes in AWS.

    There is one version of pulumi-aws here, so the state is made to look as if an older one had deployed it.
    """
    version = next(resource for resource in clone.state("beta") if is_default_provider(resource))["inputs"]["version"]
    older = "7.0.0"
    file = clone.root / "older.json"
    exported = clone.infra("pulumi", "stack", "export", "--stack", "beta", "--file", str(file))
    assert exported.returncode == ExitCode.SUCCESS, exported.stdout
    text = file.read_text(encoding="utf-8").replace(version, older)
    file.write_text(text.replace(version.replace(".", "_"), older.replace(".", "_")), encoding="utf-8")
    imported = clone.infra("pulumi", "stack", "import", "--stack", "beta", "--file", str(file))
    file.unlink()
    assert imported.returncode == ExitCode.SUCCESS, imported.stdout
    with approvals_of(clone):
        exit_code, report = clone.gate_report("beta")
        approve(clone, "beta")
        updated = clone.infra("up", "beta")
    (item,) = report["unexpected"]
    assert exit_code == ExitCode.GATE_FAILED
    assert (item["owner"], item["operation"], item["property"]) == (FOUNDATION, "update", "version")
    assert updated.returncode == ExitCode.SUCCESS, updated.stdout[-3000:]
    assert [resource["inputs"]["version"] for resource in clone.state("beta") if is_default_provider(resource)] == [
        version
    ]
    assert clone.infra("preview", "beta", "--expect-no-changes").returncode == ExitCode.SUCCESS


def is_default_provider(resource: dict[str, Any]) -> bool:
    """Tell whether a resource of a state is the default provider."""
    return bool(resource["type"] == "pulumi:providers:aws")


def test_the_gate_finds_provider_changes_lost_protection_and_releases_written_by_hand(clone: Clone) -> None:
    """The gate finds edits to an environment's file that a preview shows as harmless updates, or not at all."""
    path = clone.root / "Pulumi.beta.yaml"
    with restored(path) as text:
        region = "  aws:region: us-east-1\n"
        changed = text.replace(region, f"{region}  aws:maxRetries: 7\n").replace("1.4.99", "1.5.0")
        path.write_text(changed.replace("durability: {", "durability: {protect_data: false, "), encoding="utf-8")
        exit_code, report = clone.gate_report("beta")
    assert exit_code == ExitCode.GATE_FAILED, report
    assert report["blockers"] == []
    changes = properties(report)
    # Only the release and the provider, also as a whole, follow from no field. What follows from the environment's
    # block cannot be undone.
    unexplained = {name for name, cause in changes if cause == Cause.UNEXPLAINED and name}
    assert unexplained == {"maxRetries", "release"}, report
    assert {(PROTECT_OPTION, Cause.IRREVERSIBLE), ("deletionProtection", Cause.IRREVERSIBLE)} <= changes, report
    assert Cause.CODE not in {cause for _, cause in changes}
    assert danger_kinds(report) == {Kind.LOST_PROTECTION}, report
    assert [item["owner"] for item in report["unexpected"] if item["property"] == "release"] == ["members"]


def test_a_new_service_changes_no_existing_resource(clone: Clone) -> None:
    """Enabling a service only creates resources, all of them inside its own component, and the gate passes."""
    with restored(clone.root / "Pulumi.beta.yaml"):
        clone.edit("Pulumi.beta.yaml", EVENTS_OFF, "enabled: true")
        steps = [step for step in clone.steps("beta") if "pulumi:pulumi:Stack" not in step["urn"]]
        gate = clone.infra("gate", "beta")
    assert len(steps) > 30
    assert {step["op"] for step in steps} == {"create"}
    others = [
        step["urn"]
        for step in steps
        if "ServiceEnvironment$" not in step["urn"] and not step["urn"].endswith("ServiceEnvironment::events")
    ]
    assert others == []
    assert gate.returncode == ExitCode.SUCCESS, gate.stdout


def test_code_is_found_behind_values_that_a_preview_does_not_know(clone: Clone) -> None:
    """Enabling events is expected. What code adds to its role's policy, which depends on new resources, is not."""
    with (
        restored(clone.root / "Pulumi.beta.yaml"),
        edited(clone, "components/policies/servers.py", POLICY, EXTRA_STATEMENT + POLICY),
    ):
        clone.edit("Pulumi.beta.yaml", EVENTS_OFF, "enabled: true")
        exit_code, report = clone.gate_report("beta")
    assert exit_code == ExitCode.GATE_FAILED
    assert {(item["owner"], item["cause"]) for item in report["unexpected"]} == {("events", Cause.CODE)}
    assert any("s3:*" in item["new"] for item in report["unexpected"])


def test_code_that_keeps_a_field_from_acting_is_found(clone: Clone) -> None:
    """The preview has no change at all, although the file asks for one."""
    with (
        restored(clone.root / "Pulumi.beta.yaml"),
        edited(clone, "components/auto_scaling.py", MINIMUM, f"{MINIMUM} if name != 'socket-servers' else 2"),
    ):
        clone.edit("Pulumi.beta.yaml", SOCKET_SIZE, SOCKET_SIZE.replace("{minimum: 2", "{minimum: 3"))
        exit_code, report = clone.gate_report("beta")
    assert exit_code == ExitCode.GATE_FAILED
    assert (KEEP, "minSize") in {(item["operation"], item["property"]) for item in report["unexpected"]}


def test_a_declared_service_needs_no_approval(clone: Clone) -> None:
    """A file in services/ and a block in the environment's file are all that a new service takes."""
    service = clone.root / "services" / "chat.py"
    text = (clone.root / "services" / "events.py").read_text(encoding="utf-8")
    with restored(clone.root / "Pulumi.beta.yaml") as configuration:
        block = (
            configuration[configuration.index("    events:") :]
            .replace("events", "chat")
            .replace(EVENTS_OFF, "enabled: true")
        )
        try:
            service.write_text(text.replace("events", "chat").replace("400", "450"), encoding="utf-8")
            (clone.root / "Pulumi.beta.yaml").write_text(
                configuration + block.replace("events", "chat"), encoding="utf-8"
            )
            exit_code, report = clone.gate_report("beta")
        finally:
            service.unlink()
    assert (exit_code, report["unexpected"]) == (ExitCode.SUCCESS, [])
    assert report["expected"] == ["chat"]


def test_the_policy_pack_is_the_gate_for_plain_pulumi(clone: Clone) -> None:
    """It accepts what the file asks for, and refuses code that only acts when it is not previewed."""
    pulumi = ("--stack", "beta", "--policy-pack", "policy")
    with restored(clone.root / "Pulumi.beta.yaml"):
        clone.edit("Pulumi.beta.yaml", "log_days: 90", "log_days: 120")
        accepted = clone.infra("pulumi", "preview", *pulumi)
    with edited(clone, "components/auto_scaling.py", MINIMUM, f"{MINIMUM} if pulumi.runtime.is_dry_run() else 9"):
        refused = clone.infra("pulumi", "up", "--yes", "--skip-preview", *pulumi)
    assert accepted.returncode == ExitCode.SUCCESS, accepted.stdout[-3000:]
    assert refused.returncode != ExitCode.SUCCESS
    assert "[mandatory]  expected-changes" in refused.stdout
    groups = [resource for resource in clone.state("beta") if resource["type"] == GROUP_TYPE]
    assert len(groups) == len(SERVICES)
    assert 9 not in {group["inputs"]["minSize"] for group in groups}


# --- mistakes and failures


def test_an_environment_without_a_file_is_refused(clone: Clone) -> None:
    """`up` names the missing file and changes nothing. Pulumi itself would delete everything."""
    path = clone.root / "Pulumi.prod.yaml"
    resources = clone.state("prod")
    with restored(path):
        path.unlink()
        done = clone.infra("up", "prod")
    assert done.returncode == ExitCode.FAILED
    assert "Pulumi.prod.yaml" in done.stdout
    assert "Traceback" not in done.stdout
    assert len(resources) > 300
    assert clone.state("prod") == resources


def test_a_file_with_mistakes_registers_no_resource(clone: Clone) -> None:
    """A preview reports the locations of all mistakes at once, before any resource is registered."""
    path = clone.root / "Pulumi.alpha.yaml"
    with restored(path) as text:
        mistakes = text.replace("instance_type:", "instance_typ:").replace("nat: single", "nat: one")
        path.write_text(mistakes, encoding="utf-8")
        done = clone.infra("preview", "alpha")
    assert done.returncode != ExitCode.SUCCESS
    for service in SERVICES:
        assert f"services.{service}.sizing.instance_typ" in done.stdout
    assert "environment.network.nat" in done.stdout
    assert "Traceback" not in done.stdout
    assert " aws:" not in done.stdout, "a resource was registered"


def test_down_does_not_delete_protected_data(clone: Clone) -> None:
    """`down` refuses an environment that protects its data, and names the setting that protects it."""
    resources = clone.state("beta")
    done = clone.infra("down", "beta")
    assert done.returncode == ExitCode.FAILED
    assert "durability.protect_data" in done.stdout
    assert len(resources) > 300
    assert clone.state("beta") == resources


def test_a_stack_of_the_sandbox_is_refused_on_real_aws(clone: Clone) -> None:
    """A shell that lost a part of `./infra env` cannot apply the sandbox's state to a real account."""
    exports = clone.infra("env", "alpha").stdout
    foreign = "unset AWS_ENDPOINT_URL\nexport AWS_ACCESS_KEY_ID=AKIAREAL"
    done = clone.run_script(f"{exports}\n{foreign}\npulumi preview --stack alpha --non-interactive")
    assert done.returncode != 0
    assert "AWS_ENDPOINT_URL" in done.stdout
    assert " aws:" not in done.stdout, "a resource was registered"


def test_plain_pulumi_works_with_the_exports(clone: Clone) -> None:
    """After `eval "$(./infra env beta)"`, plain Pulumi finds no changes and leaves the clone's files as they are."""
    before = (clone.root / "Pulumi.beta.yaml").read_bytes()
    exports = clone.infra("env", "beta").stdout
    done = clone.run_script(f"{exports}\npulumi preview --stack beta --non-interactive --expect-no-changes")
    assert done.returncode == 0, done.stdout
    assert (clone.root / "Pulumi.beta.yaml").read_bytes() == before


def test_every_resource_can_be_found_again(clone: Clone) -> None:
    """Whatever a killed update was creating, its inputs lead to it in AWS; what is not found can be created again."""
    exported = json.loads(clone.infra("pulumi", "stack", "export", "--show-secrets", "--stack", "prod").stdout)
    resources = [resource for resource in exported["deployment"]["resources"] if resource["type"].startswith("aws:")]
    lookup = Lookup(AwsClients(clone.account, "prod", "this test"))
    found = {
        resource["urn"]: lookup.find(resource["type"], unfinished.revealed(resource["inputs"]))
        for resource in resources
    }
    wrong = {
        resource["urn"]: (resource["id"], found[resource["urn"]])
        for resource in resources
        if found[resource["urn"]] != [resource["id"]] and resource["type"] not in REPEATABLE
    }
    assert wrong == {}
    assert len(resources) > 300


def test_an_unfinished_operation_is_completed(clone: Clone) -> None:
    """`up` finds out that the resource exists, adopts it, and has nothing else to do."""
    with restored(clone.state_file("prod")) as text:
        state = json.loads(text)
        latest = state["checkpoint"]["latest"]
        pending = next(r for r in latest["resources"] if r["urn"].endswith("::members-servers-scaling"))
        latest["resources"].remove(pending)
        fields = ("urn", "custom", "type", "inputs", "parent", "provider")
        operation = {"resource": {key: pending[key] for key in fields}, "type": "creating"}
        latest["pending_operations"] = [operation]
        clone.state_file("prod").write_text(json.dumps(state), encoding="utf-8")
        done = clone.infra("up", "prod")
        assert done.returncode == ExitCode.SUCCESS, done.stdout[-3000:]
        assert f"members-servers-scaling: exists as {pending['id']}\n" in done.stdout
        assert "nothing to change" in done.stdout
        adopted = next(r for r in clone.state("prod") if r["urn"] == pending["urn"])
    assert adopted["inputs"] == pending["inputs"]
    assert adopted["outputs"]["arn"] == pending["outputs"]["arn"]


def test_a_killed_emulator_comes_back_with_its_data(clone: Clone) -> None:
    """`sandbox status` says that the emulator does not run; the next command starts it, and no resource is missing."""
    running = emulator.find(clone.paths)
    assert running
    assert f"process {running.pid} " in clone.infra("sandbox", "status").stdout
    os.kill(running.pid, signal.SIGKILL)
    time.sleep(0.5)
    status = clone.infra("sandbox", "status").stdout
    assert f"process {running.pid} " in status
    assert running.endpoint not in status
    refresh = ("pulumi", "refresh", "--stack", "prod", "--preview-only", "--expect-no-changes")
    done = clone.infra(*refresh, "--parallel", str(PARALLEL))
    assert "to delete" not in done.stdout, done.stdout[-3000:]
    assert "- deleted" not in done.stdout
    restarted = emulator.find(clone.paths)
    assert restarted
    assert restarted.pid != running.pid


def test_down_leaves_nothing_behind(clone: Clone) -> None:
    """An interrupted `down` can be continued, refuses a second one meanwhile, and empties the state and the account."""
    interrupted = clone.start("down", "alpha")
    time.sleep(15)
    os.killpg(interrupted.pid, signal.SIGINT)
    output, _ = interrupted.communicate()
    assert interrupted.returncode != 0
    assert "Traceback" not in output
    second = clone.start("down", "alpha")
    time.sleep(8)
    (lock,) = clone.lock_files("alpha")
    holder = json.loads(lock.read_text(encoding="utf-8"))["pid"]
    third = clone.infra("down", "alpha")
    output, _ = second.communicate()
    assert second.returncode == ExitCode.SUCCESS, output[-3000:]
    assert third.returncode == ExitCode.FAILED
    assert f"process {holder}, " in third.stdout
    assert clone.state("alpha") == []
    clone.infra("sandbox", "stop")
    alpha, beta = (resources_in_emulator(clone, ACCOUNTS[stack]) for stack in ("alpha", "beta"))
    assert len(beta) >= 4, "beta still exists, so this looks in the right places"
    # The emulator creates a default VPC in each account, so EC2 is checked by the environments' own address ranges.
    assert {kind for kind in alpha if not kind.startswith("ec2.json")} == set()
    ec2 = (clone.paths.emulator / "state" / "ec2.json").read_text(encoding="utf-8")
    assert '"CidrBlock": "10.20.' in ec2
    assert '"CidrBlock": "10.10.' not in ec2


def resources_in_emulator(clone: Clone, account: str) -> set[str]:
    """Return the kinds of resources that the emulator has in an account. KMS keys wait 30 days for their deletion."""
    kinds = r"vpc-|subnet-|i-|sg-|arn:aws:elasticloadbalancing|[a-z]+-database-instance|[a-z-]+-group-"
    pattern = re.compile(rf"{account}\\u0000[a-z0-9-]+\\u0000'({kinds})")
    resources: set[str] = set()
    for file in (clone.paths.emulator / "state").glob("*.json"):
        payload = json.loads(file.read_text(encoding="utf-8"))["payload"]
        if isinstance(payload, dict):
            text = json.dumps({key: value for key, value in payload.items() if "tag" not in key.lower()})
            resources |= {f"{file.name} {kind}" for kind in pattern.findall(text)}
    return resources
