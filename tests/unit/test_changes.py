"""Changes: what a preview and its plan would change, property by property, compared by content."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from release.changes import (
    CREATE,
    DELETE,
    MISSING,
    REPLACE,
    SECRET,
    SECRET_MARKER,
    UNKNOWN,
    UNKNOWN_TEXT,
    UPDATE,
    Change,
    Preview,
    as_text,
    canonical,
    changes_in,
    describe,
    differences,
)
from release.stack_state import PROVIDER_PREFIX
from tests.unit.conftest import program_run
from tests.unit.release_builders import MEMBERS, PAYMENTS, child_urn, make_state, step

TEMPLATE = child_urn(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
PROVIDER = f"urn:pulumi:beta::100xglobal::{PROVIDER_PREFIX}aws::default_7_51_1"
SECRET_VALUE = {SECRET_MARKER: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "abc"}


def script(variables: Mapping[str, str], line: str = "docker run service") -> str:
    """Return user data with environment variables and a command."""
    content = "".join(f"{name}={value}\n" for name, value in variables.items())
    encoded = base64.b64encode(content.encode()).decode()
    return base64.b64encode(f"#!/bin/bash\necho {encoded} | base64 -d > /etc/service.env\n{line}\n".encode()).decode()


def changes(*steps: Mapping[str, Any], plan: Mapping[str, Any] | None = None) -> list[Change]:
    """Return the changes in a preview of beta, where members and payments are deployed."""
    state = make_state(resources=({"urn": MEMBERS}, {"urn": PAYMENTS}))
    return changes_in(Preview({"steps": list(steps)}, plan or {}), state)


def properties(*steps: Mapping[str, Any], plan: Mapping[str, Any] | None = None) -> list[tuple[str, str, str, str]]:
    """Return the operation, property, old and new value of each change."""
    return [(change.operation, change.property, change.old, change.new) for change in changes(*steps, plan=plan)]


# --- values


def test_documents_are_compared_by_content() -> None:
    """The order of keys and spaces in JSON text, and whole numbers with a decimal point, do not matter."""
    assert canonical('{"b": [1, 2.0], "a": {"c": "[3]"}}') == {"a": {"c": [3]}, "b": [1, 2]}
    assert canonical("{not JSON") == "{not JSON"
    assert canonical({"__defaults": ["x"], "a": 3.0, "b": 3.5}) == {"a": 3, "b": 3.5}


def test_user_data_is_its_lines_and_its_environment_variables() -> None:
    """A changed variable is one change, and so is a changed line."""
    old, new = (canonical({"userData": script({"RELEASE": version, "A": "1"})}) for version in ("1.0.0", "1.1.0"))
    assert list(differences(old, new)) == [("userData.environment.RELEASE", "1.0.0", "1.1.0")]
    privileged = canonical({"userData": script({"RELEASE": "1.0.0", "A": "1"}, "docker run --privileged service")})
    assert list(differences(old, privileged)) == [
        ("userData.script[2]", "docker run service", "docker run --privileged service")
    ]
    shorter = canonical({"userData": script({"RELEASE": "1.0.0"})})
    assert list(differences(old, shorter)) == [("userData.environment.A", "1", MISSING)]


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"\xff\xfe").decode(), UNKNOWN])
def test_user_data_that_is_no_script_is_compared_as_text(text: str) -> None:
    """Nothing is hidden behind something that cannot be decoded."""
    assert canonical({"userData": text}) == {"userData": UNKNOWN_TEXT if text == UNKNOWN else text}


@pytest.mark.parametrize("version", ["alpha", "beta", "prod"])
def test_the_start_script_of_every_service_is_decoded(version: str) -> None:
    """The line with the environment variables is the one that the program writes."""
    templates = program_run(version).of("ec2/launchTemplate:LaunchTemplate")
    assert templates
    for template in templates.values():
        decoded = canonical(template.inputs)["userData"]
        assert decoded["environment"]["RELEASE"]
        assert not any("base64 -d > /etc/service.env" in line and line.startswith("echo") for line in decoded["script"])


def test_what_is_unknown_or_secret_is_no_value() -> None:
    """Text that contains an unknown value is unknown as a whole."""
    assert canonical(f"https://{UNKNOWN}/") == UNKNOWN_TEXT
    assert canonical({"a": SECRET_VALUE, "b": ["[secret]"]}) == {"a": SECRET, "b": [SECRET]}


def test_lists_of_different_lengths_are_compared_by_their_entries() -> None:
    """An entry that is added at the beginning is one change; lists of one length are compared one by one."""
    assert list(differences(["a", "b"], ["c", "a", "b"], "x")) == [("x[+]", MISSING, "c")]
    assert list(differences(["a", "b", "b"], ["b"], "x")) == [("x[-]", "a", MISSING), ("x[-]", "b", MISSING)]
    assert list(differences(["a", "b"], ["b", "a"], "x")) == [("x[0]", "a", "b"), ("x[1]", "b", "a")]
    assert list(differences([{"a": 1}], [{"a": 2}], "x")) == [("x[0].a", 1, 2)]


def test_every_leaf_of_a_map_is_a_change_of_its_own() -> None:
    """A value that changes its type has changed, although Python calls true and 1 equal."""
    assert list(differences({}, {"a": {"b": 1, "c": 2}})) == [("a.b", MISSING, 1), ("a.c", MISSING, 2)]
    assert list(differences({"a": {"b": 1}}, {})) == [("a.b", 1, MISSING)]
    assert list(differences({"a": True}, {"a": 1})) == [("a", True, 1)]
    assert list(differences({"a": "1"}, {"a": 1})) == [("a", "1", 1)]


# --- steps


def test_a_step_that_changes_nothing_is_no_change() -> None:
    """Neither are outputs of the stack."""
    stack = "urn:pulumi:beta::100xglobal::pulumi:pulumi:Stack::100xglobal-beta"
    assert changes(step("same", TEMPLATE), step("update", stack, "", new_inputs={"a": 1})) == []


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ("create", (CREATE, "", "", '{"a": 1}')),
        ("import", (CREATE, "", "", '{"a": 1}')),
        ("delete", (DELETE, "", '{"a": 1}', "")),
        ("discard", (DELETE, "", '{"a": 1}', "")),
        ("replace", (REPLACE, "", "", "")),
        ("create-replacement", (REPLACE, "", "", "")),
        ("delete-replaced", (REPLACE, "", "", "")),
    ],
)
def test_creating_deleting_and_replacing_are_changes_of_the_whole_resource(
    operation: str, changed: tuple[str, str, str, str]
) -> None:
    """Under whichever name the engine lists them."""
    assert properties(step(operation, TEMPLATE, old_inputs={"a": 1}, new_inputs={"a": 1})) == [changed]


def test_a_replacement_lists_what_causes_it() -> None:
    """Each property that changes is a change of its own."""
    (whole, cause) = properties(step("replace", TEMPLATE, old_inputs={"a": 1}, new_inputs={"a": 2}))
    assert (whole[:2], cause) == ((REPLACE, ""), (REPLACE, "a", "1", "2"))


def test_an_update_without_a_visible_reason_is_a_change() -> None:
    """The engine says that a property differs although its inputs do not."""
    assert properties(step("update", TEMPLATE, diffReasons=["tags"])) == [(UPDATE, "", "", '["tags"]')]
    assert properties(step("update", TEMPLATE)) == []


def test_a_secret_counts_as_changed_only_if_the_engine_says_so() -> None:
    """Its value is encrypted again each time, so it cannot be compared."""
    inputs: dict[str, Any] = {
        "old_inputs": {"password": SECRET_VALUE},
        "new_inputs": {"password": {**SECRET_VALUE, "ciphertext": "d"}},
    }
    assert properties(step("same", TEMPLATE, **inputs)) == []
    assert properties(step("update", TEMPLATE, **inputs, diffReasons=["user"])) == [(UPDATE, "", "", '["user"]')]
    changed = [(UPDATE, "password", '"(secret)"', '"(secret), changed"')]
    assert properties(step("update", TEMPLATE, **inputs, diffReasons=["password"])) == changed
    assert properties(step("update", TEMPLATE, **inputs, detailedDiff={"password[0].x": {}})) == changed


def test_a_value_that_becomes_secret_or_unknown_has_changed() -> None:
    """Nobody can see what it will be."""
    for value, text in ((SECRET_VALUE, SECRET), (UNKNOWN, UNKNOWN_TEXT)):
        change = step("update", TEMPLATE, old_inputs={"a": "1"}, new_inputs={"a": value})
        assert properties(change) == [(UPDATE, "a", '"1"', json.dumps(text))]


def test_a_renamed_resource_is_a_change() -> None:
    """An alias makes another resource's state that of this one."""
    change = step("same", TEMPLATE)
    change["oldState"]["urn"] = child_urn(PAYMENTS, "aws:ec2/launchTemplate:LaunchTemplate", "payments-template")
    assert properties(change) == [(UPDATE, "urn", as_text(change["oldState"]["urn"]), as_text(TEMPLATE))]


# --- options


@pytest.mark.parametrize(
    ("option", "old", "new"),
    [
        ("protect", True, None),
        ("retainOnDelete", None, True),
        ("ignoreChanges", None, ["imageId"]),
        ("replaceOnChanges", None, ["tags"]),
        ("parent", MEMBERS, PAYMENTS),
        ("provider", "urn::a", "urn::b"),
        ("additionalSecretOutputs", None, ["x"]),
        ("customTimeouts", None, {"create": 5}),
        ("anOptionOfTheFuture", None, 1),
    ],
)
def test_an_option_that_differs_is_a_change_although_the_engine_calls_the_resource_the_same(
    option: str, old: object, new: object
) -> None:
    """The state records it, and it decides what later updates do."""
    change = step("same", TEMPLATE)
    change["oldState"] |= {option: old}
    change["newState"] |= {option: new}
    assert properties(change) == [(UPDATE, f"option:{option}", as_text(old), as_text(new))]


def test_an_option_without_effect_is_no_change() -> None:
    """False, an empty list and nothing mean the same; what the engine notes for itself is no option."""
    change = step("same", TEMPLATE)
    change["oldState"] |= {"protect": False, "ignoreChanges": [], "modified": "2026", "sourcePosition": "a:1"}
    change["newState"] |= {"modified": "2027", "sourcePosition": "a:2", "outputs": {"x": 1}, "dependencies": ["urn"]}
    assert changes(change) == []


def test_a_new_resource_has_a_change_for_each_of_its_options() -> None:
    """Its parent and its provider are judged with the creation."""
    change = step("create", TEMPLATE)
    change["newState"] |= {"protect": True, "provider": "urn::a"}
    assert [changed[:2] for changed in properties(change)] == [(CREATE, ""), (CREATE, "option:protect")]


@pytest.mark.parametrize(
    ("goal", "changed"),
    [
        ({"deleteBeforeReplace": True}, [("option:deleteBeforeReplace", "false", "true")]),
        ({"aliases": ["urn:a"]}, [("option:aliases", "[]", '["urn:a"]')]),
        ({"structuredAliases": [{"Name": "x"}]}, [("option:structuredAliases", "[]", '[{"Name": "x"}]')]),
        ({"structuredAliases": [{"Type": "aws:s3/bucketV2:BucketV2", "Name": ""}]}, []),
        (
            {"structuredAliases": [{"Type": "hundredx:x:Y"}]},
            [("option:structuredAliases", "[]", '[{"Type": "hundredx:x:Y"}]')],
        ),
        ({"deleteBeforeReplace": False, "aliases": [], "structuredAliases": None}, []),
    ],
)
def test_some_options_are_only_in_the_plan(goal: dict[str, Any], changed: list[tuple[str, str, str]]) -> None:
    """Aliases that pulumi-aws itself gives to types that it has renamed are none."""
    plan = {"resourcePlans": {TEMPLATE: {"goal": goal, "steps": ["same"]}}}
    assert [entry[1:] for entry in properties(plan=plan)] == changed


@pytest.mark.parametrize(
    ("goal", "steps", "changed"),
    [
        ({"inputDiff": {"updates": {"defaultTags": "x"}}}, ["same"], [(UPDATE, "defaultTags", "", '"x"')]),
        ({"inputDiff": {"adds": {"endpoints": UNKNOWN}}}, ["same"], [(UPDATE, "endpoints", "", as_text(UNKNOWN_TEXT))]),
        ({"inputDiff": {"deletes": ["region"]}}, ["same"], [(UPDATE, "region", '"(set)"', "")]),
        ({"inputDiff": {}}, ["same"], []),
        ({}, ["update"], [(UPDATE, "", "", "")]),
        ({}, ["create"], [(CREATE, "", "", "")]),
        ({}, ["delete"], [(DELETE, "", "", "")]),
    ],
    ids=["a setting", "an unknown setting", "a setting less", "unchanged", "another version", "new", "deleted"],
)
def test_only_the_plan_shows_that_a_provider_changes(
    goal: dict[str, Any], steps: list[str], changed: list[tuple[str, str, str, str]]
) -> None:
    """It affects every resource that uses it; no step of the preview lists it."""
    plan = {"resourcePlans": {PROVIDER: {"goal": goal, "steps": steps}}}
    assert properties(plan=plan) == changed


# --- owners


def test_the_owner_of_a_resource_is_taken_from_what_is_deployed() -> None:
    """A program that claims that payments' template belongs to members does not make it members'."""
    urn = child_urn(PAYMENTS, "aws:ec2/launchTemplate:LaunchTemplate", "payments-template")
    change = step("update", urn, MEMBERS, new_inputs={"a": 1})
    state = make_state(resources=({"urn": MEMBERS}, {"urn": PAYMENTS}, {"urn": urn, "parent": PAYMENTS}))
    assert {entry.owner for entry in changes_in(Preview({"steps": [change]}, {}), state)} == {"payments"}
    assert {entry.owner for entry in changes(change)} == {"members"}
    assert {entry.owner for entry in changes(step("create", urn, ""))} == {"foundation"}


def test_the_owner_of_every_resource_of_the_program() -> None:
    """It is the service whose component contains the resource."""
    run = program_run("prod")
    steps = [step("update", resource.urn, resource.parent, new_inputs={"zq": 1}) for resource in run.resources.values()]
    owners = {change.urn: change.owner for change in changes_in(Preview({"steps": steps}, {}), make_state())}
    for service in run.outputs["services"]:
        assert {urn for urn, owner in owners.items() if owner == service} == run.below(service)


# --- descriptions


@pytest.mark.parametrize("operation", [CREATE, UPDATE, REPLACE, DELETE])
def test_every_operation_is_described(operation: str) -> None:
    """Also for the resource as a whole, and a long value is shortened."""
    assert describe(Change(TEMPLATE, operation, "", "", "", "members"))
    long = describe(Change(TEMPLATE, operation, "option:protect", '"1"', json.dumps("x" * 1000), "members"))
    assert long.startswith("option protect: ")
    assert len(long) < 500


def test_a_description_shows_what_differs_in_long_values() -> None:
    """`--privileged` at the end of a long line must not be cut off."""
    old, new = (json.dumps(f"{'x' * 900} run {option} image") for option in ("--rm", "--rm --privileged"))
    text = describe(Change(TEMPLATE, UPDATE, "userData.script[9]", old, new, "members"))
    assert "--privileged" in text
    assert len(text) < 500
