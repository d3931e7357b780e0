"""Operations that did not complete: what they were, and the state without them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from release.changes import SECRET_MARKER
from release.intent import read_intent
from release.stack_state import StackState, Update
from release.unfinished import (
    Attempt,
    Operation,
    adopted,
    known_ids,
    operations,
    revealed_inputs,
    with_attempt,
    with_inputs,
    without_operations,
)
from tests.unit.conftest import config_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
VPC = "urn:pulumi:beta::p::aws:ec2/vpc:Vpc::network-vpc"
ZONE = "urn:pulumi:beta::p::aws:route53/zone:Zone::zone"


def creating(**inputs: Any) -> dict[str, Any]:
    """Return an entry of the operations that did not complete. Any: a resource's inputs."""
    resource = {"urn": VPC, "custom": True, "type": "aws:ec2/vpc:Vpc", "inputs": inputs, "parent": "urn:x"}
    return {"resource": resource, "type": "creating"}


def deployment(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment with a zone and these unfinished operations."""
    zone = {"urn": ZONE, "type": "aws:route53/zone:Zone", "id": "Z1", "inputs": {}, "outputs": {}}
    return {"manifest": {"time": "now"}, "resources": [zone], "pending_operations": list(entries)}


@pytest.mark.parametrize(
    ("kind", "creates"), [("creating", True), ("importing", True), ("updating", False), ("deleting", False)]
)
def test_only_a_creation_may_have_left_something_unknown(kind: str, *, creates: bool) -> None:
    """Everything else concerns a resource that the state contains."""
    assert Operation(kind, {"urn": VPC}).creates is creates


def test_a_replaced_resource_is_left_to_the_next_update_to_delete() -> None:
    """The state may contain only one resource of a URN that is not being deleted."""
    old = {"urn": VPC, "type": "aws:ec2/vpc:Vpc", "id": "vpc-0", "inputs": {}, "outputs": {"arn": "old"}}
    before = {**deployment(creating(cidrBlock="10.0.0.0/16")), "resources": [old]}
    resource = adopted(operations(before)[0], "vpc-1")
    after = with_inputs(without_operations(before, [resource]), [resource])
    assert [(item["id"], bool(item.get("delete"))) for item in after["resources"]] == [
        ("vpc-0", True),
        ("vpc-1", False),
    ]
    assert after["resources"][0]["outputs"] == {"arn": "old"}


def test_an_adopted_resource_replaces_its_operation() -> None:
    """Its inputs are those of the program; they stand in for the outputs until AWS is asked."""
    before = deployment(creating(cidrBlock="10.0.0.0/16", __defaults=["name"]))
    (operation,) = operations(before)
    resource = adopted(operation, "vpc-1")
    after = without_operations(before, [resource])
    assert operations(after) == []
    assert known_ids(after) == {("aws:route53/zone:Zone", "Z1"), ("aws:ec2/vpc:Vpc", "vpc-1")}
    assert after["manifest"] == before["manifest"]
    assert after["resources"][-1] == {
        **operation.resource,
        "id": "vpc-1",
        "outputs": {"cidrBlock": "10.0.0.0/16"},
    }


def test_reading_from_aws_loses_no_input() -> None:
    """What AWS does not store, such as how a password is managed, stays as the program says."""
    (operation,) = operations(deployment(creating(a=1, managed=True, __defaults=[])))
    resource = adopted(operation, "vpc-1")
    read = {**resource, "inputs": {"a": 1}, "outputs": {"a": 1, "arn": "arn:x"}}
    zone = deployment()["resources"][0]
    after = with_inputs({"resources": [zone, read]}, [resource])
    assert after["resources"] == [
        zone,
        {**read, "inputs": operation.resource["inputs"], "outputs": {"a": 1, "managed": True, "arn": "arn:x"}},
    ]


def test_secrets_are_revealed_for_the_lookup() -> None:
    """Names can depend on secret outputs, such as the records of a DKIM key."""
    secret = {SECRET_MARKER: "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"token._domainkey"'}
    assert revealed_inputs(deployment(creating(name=secret, values=[secret])))[VPC] == {
        "name": "token._domainkey",
        "values": ["token._domainkey"],
    }


# --- attempts


def state(*updates: Update, created: datetime = NOW + timedelta(minutes=1)) -> StackState:
    """Return a state with these updates, and a resource that was created at a time."""
    resources = ({"urn": ZONE, "id": "Z1", "created": created.isoformat()}, {"urn": "urn:component"})
    return StackState("beta", updates, resources, ())


def attempt(*, was_empty: bool) -> Attempt:
    """Return an update that was begun now."""
    return Attempt(NOW, config_of("beta"), was_empty)


def test_a_killed_first_update_is_the_first_of_the_history() -> None:
    """Without it, a stack without history says nothing, and the gate would expect nothing."""
    assert not read_intent(state(), config_of("beta")).is_first
    intent = read_intent(with_attempt(state(), attempt(was_empty=True)), config_of("beta"))
    assert intent.is_first
    assert "members" in intent.enabled


def test_a_first_update_cannot_have_created_what_is_older() -> None:
    """A state that was imported from elsewhere stays unknown."""
    imported = state(created=NOW - timedelta(days=1))
    assert with_attempt(imported, attempt(was_empty=True)) == imported


def test_a_killed_later_update_counts_as_failed() -> None:
    """What it began may exist, so undoing it is a change."""
    success = Update("update", "succeeded", NOW - timedelta(days=1), config_of("beta"))
    before = state(success, created=NOW - timedelta(days=2))
    after = with_attempt(before, attempt(was_empty=False))
    assert [update.result for update in after.updates] == ["failed", "succeeded"]
    assert after.last_success() == success


@pytest.mark.parametrize("kind", ["update", "destroy"])
def test_an_update_that_pulumi_recorded_needs_no_note(kind: str) -> None:
    """The note of a process that was killed alone, while Pulumi went on, is out of date."""
    recorded = state(Update(kind, "succeeded", NOW + timedelta(minutes=5), {}))
    assert with_attempt(recorded, attempt(was_empty=False)) == recorded


def test_a_refresh_after_the_kill_is_no_update() -> None:
    """Completing the state refreshes resources, which Pulumi records."""
    refreshed = replace(state(), updates=(Update("refresh", "succeeded", NOW + timedelta(minutes=5), {}),))
    assert len(with_attempt(refreshed, attempt(was_empty=True)).updates) == 2
