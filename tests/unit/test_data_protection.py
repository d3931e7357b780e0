"""Data protection: the types of resources that hold data, and the settings that protect it."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

import pulumi
import pytest
from syrupy.assertion import SnapshotAssertion

import components
import foundation
from release.data_protection import DATA_TYPES, STATELESS_TYPES, weakenings
from release.findings import Rule
from tests.unit.conftest import STACKS, program_run
from tests.unit.release_builders import MEMBERS, child_urn, preview_findings, step

DATABASE, BUCKET = "aws:rds/instance:Instance", "aws:s3/bucket:Bucket"
LOG_GROUP, LOAD_BALANCER = "aws:cloudwatch/logGroup:LogGroup", "aws:lb/loadBalancer:LoadBalancer"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


def expiring_after(days: int) -> dict[str, Any]:
    """Return the inputs of a lifecycle configuration that deletes old versions after some days."""
    return {"rules": [{"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": days}}]}


# A change that weakens protection: the type, the inputs before and after, and the setting.
WEAKENINGS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (DATABASE, {"deletionProtection": True}, {"deletionProtection": False}, "deletionProtection"),
    (DATABASE, {"deletionProtection": True}, {}, "deletionProtection"),
    (DATABASE, {"skipFinalSnapshot": False}, {"skipFinalSnapshot": True}, "skipFinalSnapshot"),
    (DATABASE, {"backupRetentionPeriod": 14}, {"backupRetentionPeriod": 7}, "backupRetentionPeriod"),
    (BUCKET, {}, {"forceDestroy": True}, "forceDestroy"),
    (
        VERSIONING,
        {"versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        "versioningConfiguration",
    ),
    (
        LIFECYCLE,
        expiring_after(90),
        expiring_after(1),
        "noncurrentVersionExpiration of rule old for everything",
    ),
    (LOG_GROUP, {"retentionInDays": 365}, {"retentionInDays": 30}, "retentionInDays"),
    (LOG_GROUP, {}, {"retentionInDays": 30}, "retentionInDays"),
    (
        LOAD_BALANCER,
        {"enableDeletionProtection": True},
        {"enableDeletionProtection": False},
        "enableDeletionProtection",
    ),
]


@pytest.mark.parametrize(("resource_type", "old", "new", "setting"), WEAKENINGS)
def test_weaker_protection_is_a_finding_and_stronger_protection_is_none(
    resource_type: str, old: dict[str, Any], new: dict[str, Any], setting: str
) -> None:
    """With weaker protection, the next change could lose data."""
    urn = child_urn(MEMBERS, resource_type, "x")
    findings = preview_findings(step("update", urn, old_inputs=old, new_inputs=new))
    assert [(finding.rule, finding.detail) for finding in findings] == [(Rule.PROTECT, setting)]
    assert preview_findings(step("update", urn, old_inputs=new, new_inputs=old)) == []


def test_losing_pulumis_protection_is_a_finding_although_nothing_changes() -> None:
    """The preview shows the step as `same`, but the next change could delete the database."""
    urn = child_urn(MEMBERS, DATABASE, "x")
    unprotected = {"urn": urn, "parent": MEMBERS}
    change = {"op": "same", "urn": urn, "oldState": {**unprotected, "protect": True}, "newState": unprotected}
    (finding,) = preview_findings(change)
    assert (finding.rule, finding.owner, finding.detail) == (Rule.PROTECT, "members", "protect")


def test_deleting_the_versioning_of_a_bucket_is_a_finding() -> None:
    """AWS then suspends versioning, and overwritten files can no longer be restored."""
    urn = child_urn(MEMBERS, VERSIONING, "x")
    (finding,) = preview_findings(step("delete", urn))
    assert (finding.rule, finding.urn, finding.detail) == (Rule.PROTECT, urn, "delete")


def test_messages(snapshot: SnapshotAssertion) -> None:
    """Each weakening has a message that names the setting and says what is lost."""
    messages = [
        f"{setting}: {weakening.message}"
        for _, old, new, setting in WEAKENINGS
        for weakening in weakenings(old, new)
        if weakening.setting == setting
    ]
    assert len(messages) == len(WEAKENINGS)
    assert messages == snapshot


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_in_an_environment_is_listed_once(stack: str) -> None:
    """Somebody has decided about each type whether it holds data."""
    types = {resource.type for resource in program_run(stack).resources.values() if resource.type.startswith("aws:")}
    assert types <= DATA_TYPES | STATELESS_TYPES
    assert not DATA_TYPES & STATELESS_TYPES


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Return the modules of a package."""
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [importlib.import_module(name) for name in names]


def test_every_type_that_the_program_can_create_is_listed() -> None:
    """Every class of pulumi_aws that components and foundation import is listed, even if no environment uses it."""
    classes = {
        value
        for module in modules_of(components) + modules_of(foundation)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, pulumi.CustomResource) and value is not pulumi.CustomResource
    }
    # A decorator of Pulumi's SDK sets `pulumi_type`, so mypy does not know it.
    types = {str(resource_class.pulumi_type) for resource_class in classes}  # type: ignore[attr-defined]
    assert len(types) > 40
    assert types == DATA_TYPES | STATELESS_TYPES
