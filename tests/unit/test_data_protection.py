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
from tests.unit.conftest import STACKS, program_run

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


@pytest.mark.parametrize(("old", "new", "setting"), [case[1:] for case in WEAKENINGS])
def test_weaker_protection_is_recognised_and_stronger_protection_is_harmless(
    old: dict[str, Any], new: dict[str, Any], setting: str
) -> None:
    """With weaker protection, the next change could lose data."""
    assert [weakening.setting for weakening in weakenings(old, new)] == [setting]
    assert list(weakenings(new, old)) == []


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
