"""The report of the gate: how it prints its findings, as text, Markdown and JSON, and what the journal keeps of it."""

import json
from collections.abc import Sequence
from datetime import date

import pytest
from syrupy.assertion import SnapshotAssertion

from release import gate, gate_report
from release.findings import Finding, Rule
from release.gate import GateResult
from release.gate_report import LAYOUTS, Layout
from release.sign_offs import SignOff
from settings.project_files import SERVICES_KEY
from tests.unit.release_builders import (
    MEMBERS,
    NEW,
    OLD,
    PATH,
    PAYMENTS,
    child_urn,
    make_event,
    make_state,
    make_update,
    preview_findings,
    step,
)

TODAY = date(2026, 11, 23)
DATABASE = child_urn(MEMBERS, "aws:rds/instance:Instance", "members-database-instance")
TEMPLATE = child_urn(PAYMENTS, "aws:ec2/launchTemplate:LaunchTemplate", "payments-servers-template")
RULE = child_urn(MEMBERS, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "members-servers-ingress")
VPC = "urn:pulumi:beta::100xglobal::hundredx:foundation:Foundation$aws:ec2/vpc:Vpc::network-vpc"
PROVIDER = "urn:pulumi:beta::100xglobal::pulumi:providers:aws::default_7_51_1"


def findings_of_every_rule() -> list[Finding]:
    """Return findings of all rules, as a preview, a plan and the journal produce them."""
    unprotected = {"backupRetentionPeriod": 7}
    steps = [
        step("replace", DATABASE, old_inputs={}, new_inputs={}, replaceReasons=["kmsKeyId"]),
        step("update", DATABASE, old_inputs={"backupRetentionPeriod": 14}, new_inputs=unprotected),
        step("update", TEMPLATE, PAYMENTS),
        step("update", VPC, ""),
        step("create", RULE, new_inputs={"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0"}),
    ]
    pending = child_urn(MEMBERS, "aws:autoscaling/group:Group", "members-servers-group")
    resource = {"urn": pending, "parent": MEMBERS}
    state = make_state(
        make_update({"members": {"release": OLD}, "payments": {"release": OLD}}),
        resources=({"urn": MEMBERS}, {"urn": PAYMENTS}, {"urn": PROVIDER}),
    )
    plan = {"resourcePlans": {PROVIDER: {"goal": {"inputDiff": {"updates": {"defaultTags": "x"}}}, "steps": ["same"]}}}
    upgrade = {"resourcePlans": {PROVIDER.replace("51", "60"): {"goal": {}, "steps": ["create"]}}}
    config = {SERVICES_KEY: {"members": {"release": NEW}, "payments": {"release": NEW}}}
    events = [make_event("promote", NEW), make_event("hold", NEW, "2026-11-21", reason="loses sessions")]
    return [
        *preview_findings(*steps, resources=(resource,), pending=(pending,)),
        *gate.provider_findings(plan, state),
        *gate.provider_findings(upgrade, state),
        *gate.release_findings(state, config, events, "sandbox", PATH),
    ]


def sign_off(urn: str, rule: Rule, expires: date = date(2026, 11, 26)) -> SignOff:
    """Return a sign-off by kim."""
    return SignOff(urn, rule, "restored copy", "kim", expires)


def evaluate(findings: Sequence[Finding], sign_offs: Sequence[SignOff] = ()) -> GateResult:
    """Return the result for a preview with two changes, where changes of members are expected."""
    return gate.evaluate(findings, sign_offs, TODAY, {"members"}, changes=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gate_that_failed(layout: Layout, snapshot: SnapshotAssertion) -> None:
    """The report names each resource, what would happen to it, and how to accept what is intended."""
    findings = findings_of_every_rule()
    assert {finding.rule for finding in findings} == set(Rule)
    assert gate_report.render(evaluate(findings), layout, "beta", " --on aws") == snapshot


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gate_that_passed(layout: Layout, snapshot: SnapshotAssertion) -> None:
    """The report names the findings that are signed off."""
    (finding,) = preview_findings(step("replace", DATABASE, replaceReasons=["kmsKeyId"]))
    result = evaluate([finding], [sign_off(DATABASE, Rule.DATA)])
    assert result.passed
    assert gate_report.render(result, layout, "beta") == snapshot


def test_a_gate_without_findings(snapshot: SnapshotAssertion) -> None:
    """The report says how many changes there are, and where changes are expected."""
    results = {
        "one change": gate.evaluate([], [], TODAY, {"members", "payments"}, changes=1),
        "no change": gate.evaluate([], [], TODAY, set()),
    }
    assert {name: gate_report.render(result, "text", "beta") for name, result in results.items()} == snapshot


def test_notes_about_sign_offs(snapshot: SnapshotAssertion) -> None:
    """A sign-off that has expired, expires too late or is not needed gets a note."""
    sign_offs = {
        "expired": sign_off(DATABASE, Rule.DATA, date(2026, 11, 22)),
        "expires too late": sign_off(DATABASE, Rule.DATA, date(2026, 12, 24)),
        "not needed": sign_off(DATABASE, Rule.DATA),
    }
    assert {name: evaluate([], [entry]).notes for name, entry in sign_offs.items()} == snapshot


def test_the_json_report_has_the_fields_of_every_finding() -> None:
    """Other programs get data, and whether each finding is signed off."""
    (lost,) = preview_findings(step("replace", DATABASE))
    (unexpected,) = preview_findings(step("update", TEMPLATE, PAYMENTS))
    result = evaluate([unexpected, lost], [sign_off(DATABASE, Rule.DATA), sign_off(VPC, Rule.OUTSIDE)])
    report = json.loads(gate_report.render(result, "json", "beta"))
    assert (report["passed"], report["changes"], report["expected"]) == (False, 2, ["members"])
    assert len(report["notes"]) == 1
    assert report["findings"] == [
        {
            "rule": "outside",
            "urn": TEMPLATE,
            "owner": "payments",
            "detail": "update",
            "message": unexpected.message,
            "signed_off_by": None,
        },
        {
            "rule": "data",
            "urn": DATABASE,
            "owner": "members",
            "detail": "replace",
            "message": lost.message,
            "signed_off_by": "kim",
            "reason": "restored copy",
        },
    ]


def test_what_the_journal_keeps(snapshot: SnapshotAssertion) -> None:
    """The journal keeps the result, and each sign-off that was used."""
    (finding,) = preview_findings(step("replace", DATABASE))
    result = evaluate([finding], [sign_off(DATABASE, Rule.DATA)])
    assert {
        "gate": gate_report.summary(result),
        "sign_offs": gate_report.sign_off_summaries(result),
    } == snapshot
