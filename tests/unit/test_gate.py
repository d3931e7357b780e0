"""The gate: pure functions on previews, plans, files and sign-offs."""

from datetime import date
from typing import Any

import pytest

from release import gate
from release.data_protection import DATA_TYPES
from release.findings import SIGNABLE_RULES, Finding, Rule
from release.sign_offs import SignOff
from release.stack_state import owner_of, parents_by_urn
from settings.project_files import ENVIRONMENT_KEY, SERVICES_KEY
from tests.unit.conftest import program_run
from tests.unit.release_builders import (
    MEMBERS,
    NEW,
    OLD,
    PATH,
    PAYMENTS,
    child_urn,
    group_and_template,
    make_event,
    make_state,
    make_update,
    preview_findings,
    service_urn,
    step,
)

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
PROVIDER = "urn:pulumi:beta::100xglobal::pulumi:providers:aws::default_7_51_1"
DATA_LOSS = Finding(Rule.DATA, "urn:a", "would be lost", "members", "replace")


# --- findings in a preview


def test_an_expected_change_passes() -> None:
    """A change of a service whose changes are expected is no finding."""
    assert preview_findings(step("update", child_urn(MEMBERS, TEMPLATE, "members-template"))) == []


def test_an_unexpected_change_is_recognised_by_its_ancestors() -> None:
    """A resource that is named after members but belongs to payments is an unexpected change in payments."""
    urn = child_urn(PAYMENTS, TEMPLATE, "members-template")
    (finding,) = preview_findings(step("update", urn, PAYMENTS))
    assert (finding.rule, finding.urn, finding.owner, finding.detail) == (Rule.OUTSIDE, urn, "payments", "update")


def test_what_belongs_to_no_service_belongs_to_the_foundation() -> None:
    """A change of the network is unexpected unless changes of the foundation are expected."""
    shared = "urn:pulumi:beta::100xglobal::hundredx:foundation:Foundation$aws:ec2/vpc:Vpc::network-vpc"
    (finding,) = preview_findings(step("update", shared, ""))
    assert (finding.rule, finding.owner, finding.detail) == (Rule.OUTSIDE, "foundation", "update")
    assert preview_findings(step("update", shared, ""), expected=frozenset({"foundation"})) == []
    assert preview_findings(step("update", shared, ""), expected=frozenset({gate.EVERYTHING})) == []


@pytest.mark.parametrize("resource_type", sorted(DATA_TYPES))
@pytest.mark.parametrize("operation", ["delete", "replace", "create-replacement", "delete-replaced"])
def test_losing_data_fails_the_gate(resource_type: str, operation: str) -> None:
    """Deleting or replacing a resource of any type that holds data is a finding, even in an expected service."""
    urn = child_urn(MEMBERS, resource_type, "x")
    findings = preview_findings(step(operation, urn, replaceReasons=["name"]))
    assert (Rule.DATA, operation) in [(finding.rule, finding.detail) for finding in findings]


def test_a_pending_operation_fails_the_gate() -> None:
    """After an operation that did not complete, the actual state is unknown."""
    urn = child_urn(PAYMENTS, TEMPLATE, "t")
    resource = {"urn": urn, "parent": PAYMENTS}
    (finding,) = preview_findings(resources=(resource,), pending=(urn,))
    assert (finding.rule, finding.urn, finding.owner) == (Rule.PENDING, urn, "payments")


def test_every_resource_has_the_right_owner() -> None:
    """In the whole program, the owner of a resource is the service whose component contains it."""
    run = program_run("prod")
    parents = parents_by_urn([{"urn": resource.urn, "parent": resource.parent} for resource in run.resources.values()])
    for service in run.outputs["services"]:
        assert {urn for urn in run.resources if owner_of(urn, parents) == service} == run.below(service)


# --- whose changes are expected


def test_a_change_is_expected_where_the_configuration_changed() -> None:
    """Going back from what a failed update began is a change too; equal configuration makes no change expected."""
    services = {"members": {"release": OLD}, "core": {"release": OLD}}
    config: dict[str, Any] = {SERVICES_KEY: services, ENVIRONMENT_KEY: {"domain": "d"}}
    success, failure = make_update(services), make_update({**services, "members": {"release": NEW}}, "failed")
    assert gate.changed_owners(make_state(success), config) == set()
    assert gate.changed_owners(make_state(failure, success), config) == {"members"}
    assert gate.changed_owners(make_state(failure), config) == {"members", "core", "foundation"}
    assert gate.changed_owners(make_state(success), {**config, ENVIRONMENT_KEY: {"domain": "e"}}) == {"foundation"}


@pytest.mark.parametrize(("version", "owners"), [("1", {"members"}), ("2", set())])
def test_a_deployment_that_was_rolled_back_may_be_tried_again(version: str, owners: set[str]) -> None:
    """Changes are expected in a service whose group does not use the newest version of its launch template."""
    services = {"members": {"release": OLD}}
    config = {SERVICES_KEY: services, ENVIRONMENT_KEY: {"domain": "d"}}
    resources = ({"urn": MEMBERS}, *group_and_template(version))
    assert gate.changed_owners(make_state(make_update(services), resources=resources), config) == owners


# --- releases that may not be deployed


def rules_for_release(
    stack: str,
    release: dict[str, Any],
    *events: Any,
    is_deployed: bool = True,
    enabled: bool = True,
    backend: str = "sandbox",
) -> list[Rule]:
    """Return what the gate finds if a file asks for a release of members and the stack runs OLD."""
    resources = ({"urn": service_urn("members", stack)},) if is_deployed else ()
    state = make_state(make_update({"members": {"release": OLD}}), resources=resources, stack=stack)
    config = {SERVICES_KEY: {"members": {"release": release, "enabled": enabled}}}
    return [finding.rule for finding in gate.release_findings(state, config, events, backend, PATH)]


def test_only_a_promoted_release_passes() -> None:
    """Beta accepts a release only if exactly it was promoted there, on the same backend, and not rolled back since."""
    promoted = make_event("promote", NEW)
    assert rules_for_release("beta", OLD) == []
    assert rules_for_release("beta", NEW) == [Rule.NOT_PROMOTED]
    assert rules_for_release("beta", NEW, promoted) == []
    assert rules_for_release("beta", NEW, promoted, backend="aws") == [Rule.NOT_PROMOTED]
    changed = {**NEW, "environment_variables": {"A": "b"}}
    assert rules_for_release("beta", changed, promoted) == [Rule.NOT_PROMOTED]
    rolled_back = make_event("rollback", OLD, "2026-11-21")
    assert rules_for_release("beta", NEW, promoted, rolled_back) == [Rule.NOT_PROMOTED]


def test_some_releases_need_no_promotion() -> None:
    """Alpha's come from CI, staging is beside the path, and a service's first release comes with its configuration."""
    assert rules_for_release("alpha", NEW) == []
    assert rules_for_release("staging", NEW) == []
    assert rules_for_release("beta", NEW, is_deployed=False) == []
    assert rules_for_release("beta", NEW, enabled=False) == []


def test_a_release_on_hold_fails_the_gate_until_the_hold_is_lifted() -> None:
    """The newest of a release's `hold` and `unhold` events decides."""
    promoted, hold = make_event("promote", NEW), make_event("hold", NEW, "2026-11-21")
    assert rules_for_release("beta", NEW, promoted, hold) == [Rule.HELD]
    assert rules_for_release("beta", NEW, promoted, hold, make_event("unhold", NEW, "2026-11-22")) == []


def test_a_release_on_hold_that_aws_rolled_back_is_not_tried_again() -> None:
    """It is deployed according to Pulumi, but the next `up` would replace the servers once more."""
    resources = ({"urn": MEMBERS}, *group_and_template("1"))
    state = make_state(make_update({"members": {"release": NEW}}), resources=resources)
    config = {SERVICES_KEY: {"members": {"release": NEW}}}
    events = [make_event("promote", NEW), make_event("hold", NEW, "2026-11-21")]
    (finding,) = gate.release_findings(state, config, events, "sandbox", PATH)
    assert (finding.rule, finding.urn, finding.owner) == (Rule.HELD, MEMBERS, "members")
    assert gate.release_findings(state, config, events[:1], "sandbox", PATH) == []


# --- providers


def provider_plan(urn: str, goal: dict[str, Any], operation: str) -> dict[str, Any]:
    """Return a plan with one provider."""
    return {"resourcePlans": {urn: {"goal": goal, "steps": [operation]}}}


@pytest.mark.parametrize(
    ("plan", "details"),
    [
        (provider_plan(PROVIDER, {"inputDiff": {"updates": {"defaultTags": "x"}}}, "same"), ["defaultTags"]),
        (provider_plan(PROVIDER, {"inputDiff": {}}, "same"), []),
        (provider_plan(PROVIDER, {}, "update"), ["version"]),
        (provider_plan(PROVIDER.replace("51", "60"), {"inputDiff": {"adds": {"region": "x"}}}, "create"), ["new"]),
    ],
    ids=["settings", "unchanged", "version", "new provider"],
)
def test_a_changed_provider_is_a_finding(plan: dict[str, Any], details: list[str]) -> None:
    """Only the plan shows that a provider changes; no step of the preview does."""
    state = make_state(resources=({"urn": PROVIDER, "inputs": {"region": "us-east-1"}},))
    findings = gate.provider_findings(plan, state)
    assert [(finding.rule, finding.detail) for finding in findings] == [(Rule.PROVIDER, detail) for detail in details]


def test_the_first_provider_of_an_environment_is_no_finding() -> None:
    """A new environment has no resources that a provider could affect."""
    plan = provider_plan(PROVIDER, {"inputDiff": {"adds": {"region": "x"}}}, "create")
    assert gate.provider_findings(plan, make_state()) == []


# --- the result


def sign_off(urn: str = "urn:a", rule: Rule = Rule.DATA, expires: date = date(2026, 12, 1)) -> SignOff:
    """Return a sign-off."""
    return SignOff(urn, rule, "restored from staging", "kim", expires)


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule not in SIGNABLE_RULES])
def test_pending_operations_and_holds_cannot_be_signed_off(rule: Rule) -> None:
    """A sign-off cannot make an unknown state known, and a hold has a command of its own."""
    finding = Finding(rule, "urn:a", "x", "members")
    result = gate.evaluate([finding], [sign_off(rule=rule)], date(2026, 11, 23), set())
    assert not result.passed
    assert result.failures == (finding,)


def test_a_sign_off_accepts_the_finding_of_its_resource_through_its_last_day() -> None:
    """Expired sign-offs and sign-offs that are not needed get a note."""
    expired, unneeded = sign_off("urn:b", expires=date(2026, 1, 1)), sign_off("urn:c")
    result = gate.evaluate([DATA_LOSS], [sign_off(), expired, unneeded], date(2026, 11, 23), {"members"})
    assert result.passed
    assert result.accepted == ((DATA_LOSS, sign_off()),)
    assert len(result.notes) == 2
    assert gate.evaluate([DATA_LOSS], [sign_off()], date(2026, 12, 1), set()).passed
    assert gate.evaluate([DATA_LOSS], [sign_off()], date(2026, 12, 2), set()).failures == (DATA_LOSS,)


def test_a_sign_off_that_expires_too_late_is_not_valid() -> None:
    """What should be accepted for longer than 30 days is a rule, not an exception."""
    result = gate.evaluate([DATA_LOSS], [sign_off(expires=date(2026, 12, 24))], date(2026, 11, 23), {"members"})
    assert result.failures == (DATA_LOSS,)
    assert len(result.notes) == 1
    assert gate.evaluate([DATA_LOSS], [sign_off(expires=date(2026, 12, 23))], date(2026, 11, 23), set()).passed


def test_a_sign_off_accepts_one_rule() -> None:
    """Whoever accepted that a database changes did not accept that it is lost."""
    result = gate.evaluate([DATA_LOSS], [sign_off(rule=Rule.OUTSIDE)], date(2026, 11, 23), set())
    assert result.failures == (DATA_LOSS,)
