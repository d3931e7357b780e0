"""Changes from code: what the program makes otherwise than the one that deployed the environment."""

import json
from dataclasses import replace
from typing import Any

import pytest

from release import code_changes
from release.changes import KEEP, UNKNOWN_TEXT, UPDATE, Change, describe
from release.code_changes import Recorded, against_baseline, against_reference, under_mocks
from release.stack_state import FOUNDATION
from tests.unit.release_builders import MEMBERS, child_urn

STACK = "urn:pulumi:beta::100xglobal::pulumi:pulumi:Stack::100xglobal-beta"
GROUP = child_urn(MEMBERS, "aws:autoscaling/group:Group", "members-servers-group")
ROLE = child_urn(MEMBERS, "aws:iam/role:Role", "members-servers")
MAXIMUM = Change(GROUP, UPDATE, "maxSize", "4", "5", "members")
MINIMUM = Change(GROUP, UPDATE, "minSize", "1", "9", "members")
DRIFT = Change(GROUP, UPDATE, "", "", '["launchTemplate"]', "members")
CREATED = Change(ROLE, "create", "", "", json.dumps({"policy": UNKNOWN_TEXT}), "members")


def recorded(outputs: dict[str, Any] | None = None, **inputs: Any) -> Recorded:
    """Return a recording of members' group and role. inputs: those of the group, and `policy` of the role."""
    policy = inputs.pop("policy", "{}")
    parents = {MEMBERS: STACK, GROUP: MEMBERS, ROLE: MEMBERS}
    return Recorded({GROUP: inputs, ROLE: {"policy": policy}}, parents, outputs or {})


# --- previews


def test_what_both_programs_change_does_not_come_from_code() -> None:
    """The configuration asks for it."""
    assert against_reference([MAXIMUM], [MAXIMUM]) == code_changes.NONE


@pytest.mark.parametrize("other", [[], [replace(MINIMUM, new="8")]], ids=["nothing", "another value"])
def test_what_only_the_current_program_changes_comes_from_code(other: list[Change]) -> None:
    """It does not matter whether the reference leaves the property as it is or gives it another value."""
    assert against_reference([MAXIMUM, MINIMUM], [MAXIMUM, *other]) == {MINIMUM}


def test_what_only_the_reference_changes_is_prevented_by_code() -> None:
    """A release that never reaches its servers looks like no change at all."""
    (prevented,) = against_reference([], [MAXIMUM])
    assert prevented == replace(MAXIMUM, operation=KEEP)
    assert describe(prevented) == "would no longer change as it should: maxSize stays 4"


def test_after_a_failed_update_nothing_is_prevented() -> None:
    """The failed update may have made changes which the reference would take back."""
    assert against_reference([MAXIMUM], [MAXIMUM, MINIMUM], must_happen=False) == code_changes.NONE


def test_without_the_reference_the_deployed_configuration_shows_what_comes_from_code() -> None:
    """The same property counts, because both a field and code may change it. A change in AWS is no code."""
    baseline = [replace(MINIMUM, new="7"), DRIFT]
    assert against_baseline([MAXIMUM, MINIMUM, DRIFT], baseline) == {MINIMUM}


# --- mocks


def test_mocks_show_what_is_unknown_in_a_preview() -> None:
    """Two roles with unknown policies look the same in previews."""
    current, reference = recorded(policy='{"Action": "*"}'), recorded(policy='{"Action": "s3:GetObject"}')
    (found,) = under_mocks([CREATED], code_changes.NONE, current, reference)
    assert (found.urn, found.operation, found.property) == (ROLE, "create", "policy.Action")
    assert (found.old, found.new, found.owner) == ('"s3:GetObject"', '"*"', "members")


def test_mocks_show_what_a_program_does_not_do_in_previews() -> None:
    """A program knows whether it is previewed."""
    (found,) = under_mocks([], code_changes.NONE, recorded(maxSize=500), recorded(maxSize=5))
    assert (found.urn, found.operation, found.property, found.new) == (GROUP, UPDATE, "maxSize", "500")


@pytest.mark.parametrize(
    "known",
    [MAXIMUM, replace(MAXIMUM, property="", operation="create"), replace(MAXIMUM, urn=GROUP.replace("beta", "x"))],
    ids=["property", "resource", "aliased resource"],
)
def test_mocks_do_not_repeat_what_a_preview_shows(known: Change) -> None:
    """A change of code is one change to approve, not two."""
    assert under_mocks([known], frozenset({known}), recorded(maxSize=5), recorded(maxSize=4)) == code_changes.NONE


def test_after_a_failed_update_mocks_only_explain_what_is_unknown() -> None:
    """Approved changes that the failed update has made differ from the reference, but do not happen again."""
    current, reference = recorded(maxSize=5, policy="[1]"), recorded(maxSize=4, policy="[2]")
    (found,) = under_mocks([CREATED], code_changes.NONE, current, reference, complete=False)
    assert found.urn == ROLE


def test_an_output_of_the_stack_is_a_change() -> None:
    """Everybody who can read the stack sees its outputs."""
    (found,) = under_mocks([], code_changes.NONE, recorded({"password": "p"}), recorded())
    assert (found.urn, found.property, found.new, found.owner) == (STACK, "output:password", '"p"', FOUNDATION)
