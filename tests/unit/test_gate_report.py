"""The report of the gate: how it prints its result, as text, Markdown and JSON, and what the journal keeps of it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from syrupy.assertion import SnapshotAssertion

from release import gate, gate_report
from release.approvals import Approval, identity
from release.changes import DELETE, REPLACE, UPDATE, Change, Preview
from release.danger import Danger, Kind
from release.findings import Finding, Rule
from release.gate import Cause, GateResult, Judged
from release.gate_report import CAUSES, LAYOUTS, Layout
from release.stack_state import fingerprint
from settings.project_files import ENVIRONMENT_KEY, SERVICES_KEY
from tests.unit.gate_builders import Scenario
from tests.unit.release_builders import (
    MEMBERS,
    NEW,
    NOW,
    OLD,
    PAYMENTS,
    child_urn,
    make_event,
    make_state,
    make_update,
    step,
)

TODAY = NOW.date()
DATABASE = child_urn(MEMBERS, "aws:rds/instance:Instance", "members-database-instance")
GROUP = child_urn(PAYMENTS, "aws:autoscaling/group:Group", "payments-servers-group")
VPC = "urn:pulumi:beta::100xglobal::hundredx:foundation:Foundation$aws:ec2/vpc:Vpc::network-vpc"
LOSES_DATA = Danger(Kind.DATA_LOSS, "is lost together with its data")
LOSES_PROTECTION = Danger(Kind.LOST_PROTECTION, "changes deletionProtection to false")
REPLACEMENT = Judged(Change(DATABASE, REPLACE, "", "", "", "members"), Cause.UNEXPLAINED, (LOSES_DATA,), needed=2)
SIZE = Judged(Change(GROUP, UPDATE, "maxSize", "4", "50", "payments"), Cause.CODE)
JUDGED = (
    REPLACEMENT,
    Judged(
        Change(DATABASE, REPLACE, "kmsKeyId", json.dumps("a" * 300), '"(known after the update)"', "members"),
        Cause.UNEXPLAINED,
        (LOSES_DATA,),
        frozenset({"Kim <kim@example.com>"}),
        needed=2,
    ),
    SIZE,
    Judged(Change(GROUP, UPDATE, "option:ignoreChanges", "", '["tags"]', "payments"), Cause.UNEXPLAINED),
    Judged(Change(VPC, DELETE, "", "{}", "", "foundation"), Cause.IRREVERSIBLE, (LOSES_PROTECTION,)),
)


def blockers() -> tuple[Finding, ...]:
    """Return findings of every rule, as the gate produces them."""
    older = {**OLD, "version": "0.9.0"}
    services = {name: {"release": NEW} for name in ("members", "payments", "email")} | {"core": {"release": OLD}}
    state = make_state(
        make_update({name: {"release": NEW if name == "core" else OLD} for name in services}),
        resources=tuple({"urn": MEMBERS.replace("members", name)} for name in services),
        pending=(DATABASE,),
    )
    rebuilt = {**OLD, "image": "z"}
    config = {
        SERVICES_KEY: {**services, "core": {"release": older}, "email": {"release": rebuilt}},
        ENVIRONMENT_KEY: {"domain": "d"},
    }
    hold = make_event("hold", NEW, reason="loses sessions")
    known = {"members": {fingerprint(OLD)}, "core": {fingerprint(NEW)}, "email": {fingerprint(OLD)}}
    inputs = Scenario(state, config, {}).inputs(hold, known=known)
    smaller = step(UPDATE, DATABASE, old_inputs={"allocatedStorage": 30}, new_inputs={"allocatedStorage": 20})
    return gate.evaluate(replace(inputs, preview=Preview({"steps": [smaller]}, {})), (), TODAY).blockers


def result(judged: Iterable[Judged] = (), findings: Iterable[Finding] = (), **fields: object) -> GateResult:
    """Return the result for a preview that changes two resources, with different configuration in members."""
    values: dict[str, object] = {"notes": (), "expected": ("members",), "affected": ("members",), "changes": 2}
    return GateResult(tuple(findings), tuple(judged), **values | fields)  # type: ignore[arg-type] # tested values


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gate_that_failed(layout: Layout, snapshot: SnapshotAssertion) -> None:
    """The report names each resource, what would happen to it, why that needs an approval, and how to approve it."""
    findings = blockers()
    assert {finding.rule for finding in findings} == set(Rule)
    assert {item.cause for item in JUDGED} == set(Cause) == set(CAUSES)
    failed = result(JUDGED, findings, notes=("releases/approvals/members/1.yaml has expired",))
    assert gate_report.render(failed, layout, "beta", " --on aws") == snapshot


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gate_that_passed(layout: Layout, snapshot: SnapshotAssertion) -> None:
    """The report names what was approved, and in which files."""
    approved = [replace(SIZE, approvers=frozenset({"Kim", "Robin"})), replace(REPLACEMENT, approvers=frozenset("KR"))]
    passed = result(approved, used=("releases/approvals/payments/1.yaml",))
    assert passed.passed
    assert gate_report.render(passed, layout, "beta") == snapshot


def test_a_gate_with_findings_that_nobody_can_approve(snapshot: SnapshotAssertion) -> None:
    """The report does not suggest an approval."""
    assert gate_report.render(result(findings=blockers()[:1]), "text", "beta") == snapshot


def test_a_gate_without_findings(snapshot: SnapshotAssertion) -> None:
    """The report says how many resources change, and whose configuration differs."""
    results = {
        "one change": result(changes=1, expected=("foundation", "members")),
        "no change": result(changes=0, expected=()),
        "a note": result(changes=0, expected=(), notes=("a note",)),
    }
    assert {name: gate_report.render(value, "text", "beta") for name, value in results.items()} == snapshot


def test_the_json_report_has_the_fields_of_every_change() -> None:
    """Other programs get data, and whether each change is approved."""
    report = json.loads(gate_report.render(result(JUDGED, blockers()), "json", "beta"))
    assert (report["passed"], report["changes"], report["expected"]) == (False, 2, ["members"])
    assert {entry["rule"] for entry in report["blockers"]} == set(Rule)
    assert report["unexpected"][1] == {
        "urn": DATABASE,
        "operation": "replace",
        "property": "kmsKeyId",
        "old": json.dumps("a" * 300),
        "new": '"(known after the update)"',
        "owner": "members",
        "cause": "unexplained",
        "dangers": [{"kind": "data loss", "message": LOSES_DATA.message}],
        "approvers": ["Kim <kim@example.com>"],
        "approved": False,
    }


def test_an_approval_that_has_expired_gets_a_note(snapshot: SnapshotAssertion) -> None:
    """Otherwise whoever approved a change would wonder why it fails."""
    state = make_state(make_update({"members": {"release": OLD}}))
    config = {SERVICES_KEY: {"members": {"release": OLD}}, ENVIRONMENT_KEY: {"domain": "d"}}
    expires: date = TODAY - timedelta(days=1)
    expired = Approval("members/1.yaml", "beta", "members", "r", "kim", expires, frozenset({identity(SIZE.change)}))
    assert gate.evaluate(Scenario(state, config, {}).inputs(), [expired], TODAY).notes == snapshot


def test_what_the_journal_keeps(snapshot: SnapshotAssertion) -> None:
    """One line with the result; the files of the approvals are a field of their own."""
    assert gate_report.summary(result([SIZE])) == snapshot
