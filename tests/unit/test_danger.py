"""Dangers: labels of changes that lose data, lose protection or widen access."""

import pytest

from release.danger import IRREVERSIBLE, REMOVING_OPERATIONS, Kind, dangers_of
from release.data_protection import DATA_TYPES
from tests.unit.release_builders import MEMBERS, child_urn, step

DATABASE, TEMPLATE = "aws:rds/instance:Instance", "aws:ec2/launchTemplate:LaunchTemplate"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EVERYONE = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0"}


@pytest.mark.parametrize("resource_type", sorted(DATA_TYPES))
@pytest.mark.parametrize("operation", sorted(REMOVING_OPERATIONS))
def test_deleting_or_replacing_what_holds_data_loses_it(resource_type: str, operation: str) -> None:
    """Whatever the engine calls the operation."""
    dangers = dangers_of(step(operation, child_urn(MEMBERS, resource_type, "x")))
    assert Kind.DATA_LOSS in {danger.kind for danger in dangers}


def test_an_ordinary_change_is_not_dangerous() -> None:
    """A launch template may be changed, replaced and deleted."""
    urn = child_urn(MEMBERS, TEMPLATE, "x")
    for operation in ("create", "update", "replace", "delete"):
        assert dangers_of(step(operation, urn)) == []


def test_a_weaker_setting_loses_protection() -> None:
    """So does a resource that protects another one's data, if it is deleted."""
    database, versioning = (
        child_urn(MEMBERS, kind, "x") for kind in (DATABASE, "aws:s3/bucketVersioning:BucketVersioning")
    )
    change = step("update", database, old_inputs={"backupRetentionPeriod": 14}, new_inputs={"backupRetentionPeriod": 1})
    assert [danger.kind for danger in dangers_of(change)] == [Kind.LOST_PROTECTION]
    assert [danger.kind for danger in dangers_of(step("delete", versioning))] == [Kind.LOST_PROTECTION]


def test_losing_pulumis_protection_is_dangerous_although_nothing_else_changes() -> None:
    """The preview shows the step as `same`, but the next update could delete the database."""
    change = step("same", child_urn(MEMBERS, DATABASE, "x"))
    change["oldState"]["protect"] = True
    assert [danger.kind for danger in dangers_of(change)] == [Kind.LOST_PROTECTION]
    change["newState"]["protect"] = True
    assert dangers_of(change) == []


def test_wider_access_is_dangerous() -> None:
    """What the preview does not change widens nothing."""
    urn = child_urn(MEMBERS, INGRESS, "x")
    assert [danger.kind for danger in dangers_of(step("create", urn, new_inputs=EVERYONE))] == [Kind.WIDER_ACCESS]
    unchanged = step("same", urn, old_inputs={}, new_inputs=EVERYONE)
    assert dangers_of(unchanged) == []


def test_the_worst_danger_comes_first() -> None:
    """Wider access can be undone; lost data and lost protection cannot."""
    old, new = {"publiclyAccessible": False, "deletionProtection": True}, {"publiclyAccessible": True}
    change = step("replace", child_urn(MEMBERS, DATABASE, "x"), old_inputs=old, new_inputs=new)
    assert [danger.kind for danger in dangers_of(change)] == list(Kind)
    assert list(Kind)[:2] == [Kind.DATA_LOSS, Kind.LOST_PROTECTION]
    assert set(Kind) - IRREVERSIBLE == {Kind.WIDER_ACCESS}
