"""Providers: an upgrade is one change of a version; everything else about a provider is shown as it is."""

from collections.abc import Mapping
from typing import Any

from release.changes import CREATE, DELETE, UPDATE, Preview, changes_in
from release.stack_state import PROVIDER_PREFIX
from tests.unit.release_builders import MEMBERS, child_urn, make_state, step

PREFIX = f"urn:pulumi:beta::100xglobal::{PROVIDER_PREFIX}"
OLD, NEW = f"{PREFIX}aws::default_7_50_0", f"{PREFIX}aws::default_7_51_1"
INPUTS = {"__internal": {}, "region": "us-east-1", "version": "7.50.0"}
TEMPLATE = child_urn(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
GROUP = child_urn(MEMBERS, "aws:autoscaling/group:Group", "members-group")


def moved(urn: str, old: str, new: str) -> dict[str, Any]:
    """Return the step of a resource that changes its provider and nothing else."""
    change = step("same", urn)
    change["oldState"] |= {"provider": f"{old}::id-of-old"}
    change["newState"] |= {"provider": f"{new}::id-of-new"}
    return change


def upgrade(
    *steps: Mapping[str, Any],
    inputs: Mapping[str, Any],
    others: Mapping[str, Any] | None = None,
    deployed: tuple[str, ...] = (OLD,),
) -> list[tuple[str, str, str, str, str]]:
    """Return the changes when a default provider is created with inputs and the one that is deployed is deleted."""
    plan = {
        NEW: {"goal": {"inputDiff": {"adds": dict(inputs)}}, "steps": ["create"]},
        OLD: {"goal": {}, "steps": ["delete"]},
        **(others or {}),
    }
    resources: list[dict[str, Any]] = [{"urn": MEMBERS}, *({"urn": urn, "inputs": INPUTS} for urn in deployed)]
    deletion = step("delete", OLD, "", old_inputs=INPUTS)
    preview = Preview({"steps": [*steps, deletion]}, {"resourcePlans": plan})
    changes = changes_in(preview, make_state(resources=tuple(resources)))
    return [(change.urn, change.operation, change.property, change.old, change.new) for change in changes]


def test_an_upgrade_is_one_change_of_the_version() -> None:
    """Not one for each resource that uses the provider, whose new ID differs in every preview."""
    steps = [moved(urn, OLD, NEW) for urn in (TEMPLATE, GROUP)]
    changes = upgrade(*steps, inputs=INPUTS | {"version": "7.51.1"})
    assert changes == [(OLD, UPDATE, "version", '"7.50.0"', '"7.51.1"')]


def test_what_an_upgrade_also_changes_is_shown() -> None:
    """A setting of the provider, one less, and a property of a resource."""
    change = moved(TEMPLATE, OLD, NEW)
    change["op"] = "update"
    change["newState"]["inputs"] = {"ebsOptimized": True}
    changes = upgrade(change, inputs={"version": "7.51.1", "endpoints": "http://127.0.0.1"})
    assert {entry[2] for entry in changes} == {"version", "endpoints", "region", "ebsOptimized"}


def test_a_resource_that_moves_to_another_provider_is_shown() -> None:
    """An upgrade of the default provider does not cover it."""
    other = f"{PREFIX}aws::stranger"
    creation = {other: {"goal": {"inputDiff": {"adds": {"region": "eu-west-1"}}}, "steps": ["create"]}}
    changes = upgrade(
        moved(TEMPLATE, OLD, other), moved(GROUP, OLD, NEW), inputs=INPUTS | {"version": "7.51.1"}, others=creation
    )
    assert (other, CREATE, "", "", "") in changes
    assert [entry[:3] for entry in changes if entry[0] in {TEMPLATE, GROUP}] == [(TEMPLATE, UPDATE, "option:provider")]


def test_two_default_providers_of_a_package_are_no_upgrade() -> None:
    """Someone may have pinned single resources to another version: everything is shown."""
    second = f"{PREFIX}aws::default_7_40_0"
    unchanged = {second: {"goal": {"inputDiff": {}}, "steps": ["same"]}}
    changes = upgrade(
        moved(TEMPLATE, OLD, NEW), inputs=INPUTS | {"version": "7.51.1"}, others=unchanged, deployed=(OLD, second)
    )
    assert {entry[:2] for entry in changes} == {(OLD, DELETE), (NEW, CREATE), (NEW, UPDATE), (TEMPLATE, UPDATE)}
