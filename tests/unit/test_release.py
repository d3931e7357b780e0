"""Promotion's decisions: pure functions on files, states and previews."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from release import blocks, gate, record
from release.deployed import Deployed, Update, owner, parents
from release.promote import RefusedError, Request, promote, roll_back, services_in, set_hold
from tests.unit.conftest import ROOT, STACKS, program_run

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
SERVICES = ("core", "members", "payments", "email", "socket", "events")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of all environments; alpha has a newer release of each service."""
    for stack in STACKS:
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
        if stack == "alpha":
            text = text.replace("        version: ", "        # built by CI\n        version: 9").replace(
                'database_engine: "16.9"', "database_engine: '16.10'  # tried since Monday"
            )
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def running(folder: Path, stack: str, since: datetime = LONG_AGO, **changes: Any) -> Deployed:
    """Return a stack that runs what its file says, since a time."""
    config = YAML(typ="safe").load(folder / f"Pulumi.{stack}.yaml")["config"]
    resources = [{"urn": f"urn:pulumi:{stack}::100xglobal::hundredx:components:ServiceEnvironment::{name}"} for name in SERVICES]
    updates = (Update("update", "succeeded", NOW - timedelta(minutes=1), config), Update("update", "succeeded", since, config))
    return Deployed(**{"stack": stack, "updates": updates, "resources": tuple(resources), "pending": (), **changes})


def wanted(folder: Path, stack: str, service: str) -> Mapping[str, Any]:
    """Return a service's release in a file."""
    release: Mapping[str, Any] = services_in((folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))[service]["release"]
    return release


@pytest.mark.parametrize("service", SERVICES[:-1])  # events is switched off
def test_a_promotion_rewrites_one_block_and_keeps_every_other_byte(folder: Path, service: str) -> None:
    """The block arrives as it was written, comments and quoting included."""
    before, after, event = promote(folder, Request(service, "alpha", "beta"), running(folder, "alpha"), NOW)
    assert (folder / "Pulumi.beta.yaml").read_text(encoding="utf-8") == after
    assert wanted(folder, "beta", service) == wanted(folder, "alpha", service)
    lines_before, place = blocks.find(before, service, "x")
    lines_after, place_after = blocks.find(after, service, "x")
    assert lines_before[: place.start] == lines_after[: place_after.start]
    assert lines_before[place.end :] == lines_after[place_after.end :]
    assert "# built by CI" in "".join(lines_after[place_after.start : place_after.end])
    assert event.environment == "beta"
    assert len(record.read(folder, service)) == 1


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("not deployed", {}, {"updates": ()}, "does not run in alpha"),
    ("an environment skipped", {"target": "prod"}, {}, "releases go alpha -> beta -> prod"),
    ("backwards", {"source": "beta", "target": "alpha"}, {}, "is not the environment before"),
    ("not long enough", {}, {"since": NOW - timedelta(minutes=20)}, "must for 1 h: wait 40 min"),
    ("a hotfix without a reason", {"hotfix": True}, {}, "needs a --reason"),
    ("an operation pending", {}, {"pending": ("urn:pulumi:alpha::p::t::x",)}, "an operation on x never ended"),
]


@pytest.mark.parametrize(("request_changes", "state_changes", "told"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_promotion_is_refused_with_reason_and_way_out(folder: Path, request_changes: dict[str, Any], state_changes: dict[str, Any], told: str) -> None:
    """And nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    request = Request(**{"service": "members", "source": "alpha", "target": "beta", **request_changes})
    with pytest.raises(RefusedError, match=told):
        promote(folder, request, running(folder, request.source, **state_changes), NOW)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_the_file_says_and_nobody_runs_is_refused(folder: Path) -> None:
    """The deployed state counts."""
    state = running(folder, "alpha")
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("version: 91.4.2", "version: 92.0.0"), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"alpha runs members 91\.4\.2, and Pulumi\.alpha\.yaml says 92\.0\.0"):
        promote(folder, Request("members", "alpha", "beta"), state, NOW)


def test_a_failed_update_and_a_half_made_resource_are_not_healthy(folder: Path) -> None:
    """As far as Pulumi knows."""
    state = running(folder, "alpha")
    failed = (Update("update", "failed", NOW, state.updates[0].config), *state.updates)
    with pytest.raises(RefusedError, match="the last update of alpha failed"):
        promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha", updates=failed), NOW)
    service = "urn:pulumi:alpha::100xglobal::hundredx:components:ServiceEnvironment::members"
    half = {"urn": "urn:pulumi:alpha::100xglobal::hundredx:components:ServiceEnvironment$aws:rds/instance:Instance::members-db", "parent": service, "initErrors": ["timeout"]}
    with pytest.raises(RefusedError, match="was made only half"):
        promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha", resources=(*state.resources, half)), NOW)
    promote(folder, Request("core", "alpha", "beta"), running(folder, "alpha", resources=(*state.resources, half)), NOW)


def test_a_hotfix_skips_the_soak_and_an_environment_and_stands_in_the_record(folder: Path) -> None:
    """With its reason."""
    _, _, event = promote(folder, Request("members", "alpha", "prod", hotfix=True, reason="sign-in is down"), running(folder, "alpha", since=NOW), NOW)
    assert (event.kind, event.reason) == ("hotfix", "sign-in is down")
    assert wanted(folder, "prod", "members") == wanted(folder, "alpha", "members")


def test_a_held_release_moves_nowhere_until_its_hold_is_lifted(folder: Path) -> None:
    """Also as a hotfix; both the hold and its end need a reason."""
    with pytest.raises(RefusedError, match="needs a --reason"):
        set_hold(folder, "members", "91.4.2", " ", NOW, lift=False)
    set_hold(folder, "members", "91.4.2", "loses sessions", NOW, lift=False)
    for hotfix in (False, True):
        with pytest.raises(RefusedError, match="loses sessions"):
            promote(folder, Request("members", "alpha", "beta", hotfix=hotfix, reason="x"), running(folder, "alpha"), NOW)
    set_hold(folder, "members", "91.4.2", "was the cache", NOW + timedelta(minutes=1), lift=True)
    promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=2))
    with pytest.raises(RefusedError, match="no hold stands"):
        set_hold(folder, "members", "91.4.2", "again", NOW, lift=True)


def test_a_rollback_restores_the_file_to_the_byte_and_holds_the_bad_release(folder: Path) -> None:
    """Everywhere."""
    original = (folder / "Pulumi.beta.yaml").read_bytes()
    promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    assert (folder / "Pulumi.beta.yaml").read_bytes() != original
    with pytest.raises(RefusedError, match="needs a --reason"):
        roll_back(folder, "members", "beta", "", NOW)
    roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=1))
    assert (folder / "Pulumi.beta.yaml").read_bytes() == original
    with pytest.raises(RefusedError, match="held"):
        promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=2))
    with pytest.raises(RefusedError, match="no promotion of members"):
        roll_back(folder, "members", "beta", "again", NOW + timedelta(minutes=3))


def test_two_promotions_write_different_files(folder: Path) -> None:
    """Their branches merge without a conflict."""
    promote(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    promote(folder, Request("payments", "alpha", "beta"), running(folder, "alpha"), NOW)
    files = sorted(path.relative_to(folder).as_posix() for path in (folder / "releases").rglob("*.yaml"))
    assert [file.split("/")[1] for file in files] == ["members", "payments"]


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(SERVICES), service=st.sampled_from(SERVICES), ending=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_a_block_is_replaced_whatever_the_order(order: list[str], service: str, ending: str, *, last: bool) -> None:
    """Services in any order, line ends of any kind, with or without a last one."""
    body = "".join(f"    {name}: # {name}\n      release: # r\n        version: 1.0.0\n\n        image: a\n      # size\n      sizing: {{x: 1}}\n" for name in order)
    text = ("config:\n  a: b\n  100xglobal:services:\n" + body + "  z: y\n").replace("\n", ending)
    text = text if last else text.rstrip("\r\n")
    out = blocks.with_release(text, service, "  release:\n    version: 2.0.0\n    image: b # new\n", "f")
    values = YAML(typ="safe").load(out)["config"]
    assert {name: value["release"]["version"] for name, value in values["100xglobal:services"].items()} == {name: "2.0.0" if name == service else "1.0.0" for name in order}
    assert values["z"] == "y"
    assert out.count("# size") == len(order)
    assert ("\r\n" in out) == (ending == "\r\n")


# --- the gate


def step(operation: str, urn: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return one step of a preview."""
    return {"op": operation, "urn": urn, "oldState": {"urn": urn, **(old or {})}, "newState": {"urn": urn, **(new or {})} if operation != "delete" else None, **more}


MEMBERS = "urn:pulumi:beta::100xglobal::hundredx:components:ServiceEnvironment::members"
PAYMENTS = MEMBERS.replace("members", "payments")


def child(of: str, kind: str, name: str) -> str:
    """Return the URN of a resource right below another."""
    head, types, _ = of.rsplit("::", 2)
    return f"{head}::{types}${kind}::{name}"


def found(*steps: dict[str, Any], meant: set[str] | None = None, **state: Any) -> list[tuple[str, str]]:
    """Return the rules and messages of what the gate finds."""
    deployed = Deployed("beta", (), ({"urn": MEMBERS}, {"urn": PAYMENTS}, *state.get("resources", ())), tuple(state.get("pending", ())))
    return [(finding.rule, finding.message) for finding in gate.findings({"steps": list(steps)}, deployed, {"members"} if meant is None else meant)]


def test_a_change_of_the_promoted_service_passes() -> None:
    """Its template and group."""
    template = child(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
    assert found(step("update", template, {"parent": MEMBERS}, {"parent": MEMBERS})) == []


def test_a_change_outside_is_refused_by_ancestors_not_by_names() -> None:
    """A resource that is named members and belongs to payments."""
    stranger = child(PAYMENTS, "aws:ec2/launchTemplate:LaunchTemplate", "members-template")
    (rule, message), *_ = found(step("update", stranger, {"parent": PAYMENTS}, {"parent": PAYMENTS}))
    assert rule == "outside"
    assert "update in payments" in message
    shared = "urn:pulumi:beta::100xglobal::hundredx:foundation:Foundation$aws:ec2/vpc:Vpc::network-vpc"
    assert found(step("update", shared))[0] == ("outside", "update in foundation, whose block did not change")
    assert found(step("update", shared), meant={"foundation"}) == []


@pytest.mark.parametrize("kind", sorted(gate.HOLDS_DATA))
@pytest.mark.parametrize("operation", ["delete", "replace", "create-replacement", "delete-replaced"])
def test_losing_data_is_refused(kind: str, operation: str) -> None:
    """Of every type that holds any; also in the service that is meant."""
    urn = child(MEMBERS, kind, "x")
    assert "data" in [rule for rule, _ in found(step(operation, urn, {"parent": MEMBERS}, {"parent": MEMBERS}, replaceReasons=["name"]))]


def test_losing_protection_is_refused_though_it_is_no_change() -> None:
    """`same` in the preview; the next change could delete it."""
    urn = child(MEMBERS, "aws:rds/instance:Instance", "x")
    assert found(step("same", urn, {"parent": MEMBERS, "protect": True}, {"parent": MEMBERS}))[0][0] == "protect"


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy's text."""
    return json.dumps({"Statement": list(statements)})


ALLOW = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::own/*"}
WIDENINGS = [
    ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(ALLOW)}, {"policy": policy({**ALLOW, "Action": ["s3:GetObject", "s3:PutObject"]})}, "newly allows s3:PutObject"),
    ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(ALLOW)}, {"policy": policy({**ALLOW, "Resource": "*"})}, "newly allows s3:GetObject on *"),
    ("aws:iam/role:Role", {"assumeRolePolicy": policy({**ALLOW, "Principal": {"Service": "ec2"}})}, {"assumeRolePolicy": policy({**ALLOW, "Principal": "*"})}, "to *"),
    ("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy(ALLOW, {**ALLOW, "Effect": "Deny"})}, {"policy": policy(ALLOW)}, "no longer refuses"),
    ("aws:iam/rolePolicy:RolePolicy", {"policy": policy({**ALLOW, "Condition": {"StringEquals": {"a": "b"}}})}, {"policy": policy(ALLOW)}, "newly allows s3:GetObject"),
    ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(ALLOW)}, {"policy": gate.UNKNOWN}, "only known afterwards"),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv4": "10.0.0.0/8"}, {"cidrIpv4": "0.0.0.0/0"}, "who may connect changes"),
    ("aws:rds/instance:Instance", {"publiclyAccessible": False}, {"publiclyAccessible": True}, "becomes public"),
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {"blockPublicAcls": True}, {"blockPublicAcls": False}, "no longer closed"),
]


@pytest.mark.parametrize(("kind", "old", "new", "told"), WIDENINGS)
def test_widening_is_refused_and_narrowing_is_not(kind: str, old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    """Actions, resources, principals, conditions, addresses, public access."""
    urn = child(MEMBERS, kind, "x")
    change = found(step("update", urn, {"parent": MEMBERS, "inputs": old}, {"parent": MEMBERS, "inputs": new}))
    assert [rule for rule, message in change if told in message] == ["widening"]
    if "policy" in old and new["policy"] != gate.UNKNOWN and "Deny" not in old["policy"]:
        narrowed = found(step("update", urn, {"parent": MEMBERS, "inputs": new}, {"parent": MEMBERS, "inputs": old}))
        assert narrowed == []


def test_a_pending_operation_stops_the_gate_and_cannot_be_signed_off() -> None:
    """Nobody knows what is there."""
    finding = gate.Finding("pending", "urn:x", "never ended")
    verdict = gate.judge([finding], [gate.SignOff("urn:x", "r", "b", date(2030, 1, 1))], date(2026, 1, 1), set())
    assert verdict.refused == (finding,)


def test_a_sign_off_holds_for_its_urn_until_its_day() -> None:
    """Expired and unused ones are told."""
    finding = gate.Finding("data", "urn:a", "replace of what holds data")
    signs = [
        gate.SignOff("urn:a", "restored from staging", "kim", date(2026, 12, 1)),
        gate.SignOff("urn:b", "old", "kim", date(2026, 1, 1)),
        gate.SignOff("urn:c", "idle", "kim", date(2026, 12, 1)),
    ]
    verdict = gate.judge([finding], signs, date(2026, 11, 23), {"members"})
    assert verdict.refused == ()
    assert verdict.accepted[0][1].reason == "restored from staging"
    assert any("urn:b expired" in note for note in verdict.notes)
    assert any("urn:c by kim was not needed" in note for note in verdict.notes)
    late = gate.judge([finding], signs, date(2026, 12, 2), {"members"})
    assert late.refused == (finding,)


@pytest.mark.parametrize("layout", ["text", "markdown", "json"])
def test_the_verdict_names_object_consequence_and_way_out(layout: str) -> None:
    """In every layout."""
    verdict = gate.judge([gate.Finding("data", "urn:pulumi:b::p::t::members-db", "replace of what holds data")], [], date(2026, 1, 1), {"members"})
    text = gate.show(verdict, layout)
    assert "members-db" in text
    assert "replace of what holds data" in text
    assert json.loads(text)["passed"] is False if layout == "json" else "releases/sign-offs.yaml" in text


def test_a_sign_off_without_a_reason_is_refused(tmp_path: Path) -> None:
    """It says what is missing."""
    (tmp_path / "releases").mkdir()
    (tmp_path / gate.SIGN_OFFS).write_text("- {urn: 'urn:a', by: kim, expires: 2026-12-01}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="reason is missing"):
        gate.read_sign_offs(tmp_path)


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_is_known_to_hold_data_or_not(stack: str) -> None:
    """A new type must be thought about."""
    types = {resource.type for resource in program_run(stack).resources.values() if resource.type.startswith("aws:")}
    assert types <= gate.HOLDS_DATA | gate.HOLDS_NONE
    assert not gate.HOLDS_DATA & gate.HOLDS_NONE


def test_the_owner_of_every_resource_is_found() -> None:
    """In the whole program."""
    run = program_run("prod")
    states = [{"urn": resource.urn, "parent": resource.parent} for resource in run.resources.values()]
    parent_of = parents(states)
    for service in run.outputs["services"]:
        assert {urn for urn in run.resources if owner(urn, parent_of) == service} == run.below(service)


def test_a_changed_provider_is_found_in_the_plan() -> None:
    """No step shows it."""
    urn = "urn:pulumi:beta::100xglobal::pulumi:providers:aws::default_7_51_1"
    plan = {"resourcePlans": {urn: {"goal": {"inputDiff": {"updates": {"defaultTags": "x"}}}}}}
    deployed = Deployed("beta", (), ({"urn": urn, "inputs": {"region": "us-east-1"}},), ())
    assert [finding.rule for finding in gate.provider_findings(plan, deployed)] == ["provider"]
    assert gate.provider_findings({"resourcePlans": {urn: {"goal": {"inputDiff": {}}}}}, deployed) == []


def test_the_files_of_this_repository_can_be_promoted(tmp_path: Path) -> None:
    """Every service of every environment's file has its release in a block that can be moved."""
    for stack in STACKS:
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
        for service in SERVICES:
            assert blocks.release_text((tmp_path / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"), service, "f").startswith("      release:")
