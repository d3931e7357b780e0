"""The gate: what passes, what needs an approval by whom, and what nobody can approve."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from release import gate
from release.approvals import Approval, identity
from release.changes import UNKNOWN, Change
from release.danger import Kind
from release.findings import Rule
from release.gate import Cause, GateResult
from release.journal import Event
from release.stack_state import StackState, fingerprint, name_of
from settings.project_files import ENVIRONMENT_KEY, SERVICES_KEY
from tests.unit.gate_builders import GROUP_NAME, Config, Scenario, block, make_scenario
from tests.unit.release_builders import (
    MEMBERS,
    NEW,
    NOW,
    OLD,
    PATH,
    PAYMENTS,
    child_urn,
    group_and_template,
    make_event,
    make_state,
    make_update,
    service_urn,
)

TODAY = NOW.date()
LATER = TODAY + timedelta(days=3)
LAST = replace(PATH, environments=("alpha", "beta"))  # a path on which beta is the last environment
OLDER = {"version": "0.9.0", "image": "z"}


def more_servers(config: Config) -> None:
    """Let members run more servers."""
    block(config)["sizing"]["instances"]["maximum"] = 5


def no_protection(config: Config) -> None:
    """Let data of the environment be lost at any time."""
    config[ENVIRONMENT_KEY]["durability"]["protect_data"] = False


def evaluate(scenario: Scenario, *available: Approval, **inputs: Any) -> GateResult:
    """Return the gate's result for a preview. inputs: what else the gate judges, such as `path`."""
    return gate.evaluate(replace(scenario.inputs(), **inputs), available, TODAY)


def approval(
    changes: Iterable[Change], by: str = "kim", expires: date = LATER, owner: str = "members", file: str = ""
) -> Approval:
    """Return an approval of changes in beta."""
    content = frozenset(identity(change) for change in changes)
    return Approval(file or f"{owner}/{by}.yaml", "beta", owner, "the engine needs it", by, expires, content)


def unexpected_scenario() -> Scenario:
    """Return a preview in which members gets more servers, and its database another port besides."""
    scenario = make_scenario(more_servers)
    scenario.change("members-database-instance", port=5433)
    return scenario


# --- expected and unexpected changes


def test_what_follows_from_the_configuration_passes() -> None:
    """Nobody has to approve it, and the result says what is affected."""
    result = evaluate(make_scenario(more_servers))
    assert result.passed
    assert (result.judged, result.blockers, result.notes, result.used) == ((), (), (), ())
    assert (result.expected, result.affected, result.changes) == (("members",), ("members",), 1)


def test_an_unexpected_change_fails_the_gate() -> None:
    """It does not follow from the configuration, although it is in a service whose configuration differs."""
    result = evaluate(unexpected_scenario())
    assert not result.passed
    (item,) = result.unapproved
    assert (name_of(item.change.urn), item.change.property) == ("members-database-instance", "port")
    assert (item.cause, item.needed, item.is_approved) == (Cause.UNEXPLAINED, 1, False)


def test_an_unknown_value_fails_the_gate() -> None:
    """Nobody can tell what it will be."""
    scenario = make_scenario(more_servers)
    scenario.change(GROUP_NAME, maxSize=UNKNOWN)
    (item,) = evaluate(scenario).unapproved
    assert item.change.property == "maxSize"


def test_a_change_that_comes_from_code_needs_an_approval() -> None:
    """The new program would change it with the deployed configuration too, so no field explains it."""
    scenario = make_scenario(more_servers)
    scenario.baseline = copy.deepcopy(make_scenario().steps)
    assert evaluate(scenario).passed
    tampered = Scenario(scenario.deployed, scenario.config, scenario.baseline)
    tampered.change(GROUP_NAME, maxSize=7)
    (item,) = evaluate(scenario).unapproved
    assert (item.change.property, item.cause) == ("maxSize", Cause.CODE)


def test_dangerous_changes_come_first() -> None:
    """Whoever approves many changes sees the worst ones at once."""
    scenario = unexpected_scenario()
    scenario.change("core-servers-group", maxSize=9)
    scenario.change("members-database-instance", publiclyAccessible=True)
    names = [name_of(item.change.urn) for item in evaluate(scenario).judged]
    assert names == ["members-database-instance", "members-database-instance", "core-servers-group"]


# --- irreversible changes


def test_an_irreversible_change_needs_an_approval_although_it_is_expected() -> None:
    """The deployed environment protects its data, so switching that off is more than an edit."""
    result = evaluate(make_scenario(no_protection))
    assert {item.cause for item in result.unapproved} == {Cause.IRREVERSIBLE}
    assert {danger.kind for item in result.unapproved for danger in item.dangers} == {Kind.LOST_PROTECTION}
    assert "members-database-instance" in {name_of(item.change.urn) for item in result.unapproved}


def test_an_environment_that_does_not_protect_its_data_may_lose_it() -> None:
    """A service that is removed from it takes its database along."""

    def disable_socket(config: Config) -> None:
        block(config, "email")["enabled"] = False

    assert evaluate(make_scenario(disable_socket, before=no_protection)).passed
    assert not evaluate(make_scenario(disable_socket)).passed


# --- approvals


def test_an_approval_of_exactly_the_change_is_enough() -> None:
    """The result names its file."""
    scenario = unexpected_scenario()
    (item,) = evaluate(scenario).unapproved
    result = evaluate(scenario, approval([item.change]))
    assert result.passed
    assert result.used == ("members/kim.yaml",)
    assert [sorted(judged.approvers) for judged in result.judged] == [["kim"]]


def test_an_approval_of_another_value_is_not_enough() -> None:
    """The preview may have changed since someone approved it."""
    scenario = unexpected_scenario()
    (item,) = evaluate(scenario).unapproved
    result = evaluate(scenario, approval([replace(item.change, new="5434"), replace(item.change, old="5431")]))
    assert result.unapproved == (item,)
    assert result.used == ()


def test_an_approval_in_another_owners_folder_is_not_enough() -> None:
    """Only the owners of a service decide about its resources."""
    scenario = unexpected_scenario()
    (item,) = evaluate(scenario).unapproved
    result = evaluate(scenario, approval([item.change], owner="payments"))
    assert result.unapproved == (item,)


@pytest.mark.parametrize(("days", "passed"), [(-1, False), (0, True), (30, True), (31, False)])
def test_an_expired_approval_is_not_enough(days: int, *, passed: bool) -> None:
    """Neither is one that expires too late; one that has expired gets a note."""
    scenario = unexpected_scenario()
    (item,) = evaluate(scenario).unapproved
    result = evaluate(scenario, approval([item.change], expires=TODAY + timedelta(days=days)))
    assert result.passed is passed
    assert len(result.notes) == (1 if days < 0 else 0)


def test_an_approval_of_one_change_is_not_enough_for_two() -> None:
    """The changes that need one must all be approved; an approval may contain others."""
    scenario = unexpected_scenario()
    scenario.change("members-database-instance", maxAllocatedStorage=9999)
    first, second = (item.change for item in evaluate(scenario).unapproved)
    other = replace(first, property="engine")
    assert [item.change for item in evaluate(scenario, approval([first, other])).unapproved] == [second]
    assert evaluate(scenario, approval([first]), approval([second, other], file="b.yaml")).passed


def test_a_dangerous_change_of_the_last_environment_needs_two_people() -> None:
    """Two approvals by one person are not enough; elsewhere, one person is."""
    scenario = make_scenario(more_servers)
    scenario.change("members-database-instance", publiclyAccessible=True)
    changes = [item.change for item in evaluate(scenario, path=LAST).unapproved]
    kim, robin = approval(changes), approval(changes, "robin")
    assert not evaluate(scenario, kim, replace(kim, file="again.yaml"), path=LAST).passed
    assert evaluate(scenario, kim, robin, path=LAST).passed
    assert evaluate(scenario, kim).passed
    (item,) = evaluate(scenario, kim, path=LAST).unapproved
    assert (item.needed, sorted(item.approvers), item.is_approved) == (2, ["kim"], False)


def test_a_harmless_change_of_the_last_environment_needs_one_person() -> None:
    """As anywhere."""
    scenario = unexpected_scenario()
    (item,) = evaluate(scenario, path=LAST).unapproved
    assert evaluate(scenario, approval([item.change]), path=LAST).passed


# --- what nobody can approve


def test_a_pending_operation_fails_the_gate() -> None:
    """After an operation that did not complete, the actual state is unknown."""
    scenario = make_scenario()
    urn = scenario.step("payments-servers-group")["urn"]
    scenario.deployed = replace(scenario.deployed, pending=(urn,))
    result = evaluate(scenario)
    assert not result.passed
    assert [(finding.rule, finding.urn, finding.owner) for finding in result.blockers] == [
        (Rule.PENDING, urn, "payments")
    ]


def deployed_old(stack: str = "beta", *resources: Mapping[str, Any], release: Mapping[str, Any] = OLD) -> StackState:
    """Return a stack that runs a release of members."""
    components = {"urn": service_urn("members", stack)}
    return make_state(make_update({"members": {"release": release}}), resources=(components, *resources), stack=stack)


def result_for(
    release: Mapping[str, Any],
    *events: Event,
    state: StackState | None = None,
    known: Iterable[Mapping[str, Any]] | None = None,
    backend: str = "sandbox",
    enabled: bool = True,
) -> GateResult:
    """Return the result if a file asks for a release of members. known: the releases that this clone knows."""
    deployed = state or deployed_old()
    config = {SERVICES_KEY: {"members": {"release": release, "enabled": enabled}}, ENVIRONMENT_KEY: {"domain": "d"}}
    scenario = Scenario(deployed, config, {})
    digests = None if known is None else {"members": {fingerprint(each) for each in known}}
    return gate.evaluate(replace(scenario.inputs(*events, known=digests), backend=backend), (), TODAY)


def rules(result: GateResult) -> list[Rule]:
    """Return the rules of what nobody can approve."""
    return [finding.rule for finding in result.blockers]


def test_a_release_on_hold_fails_the_gate_until_the_hold_is_lifted() -> None:
    """The newest of a release's `hold` and `unhold` events decides."""
    promoted, hold = make_event("promote", NEW), make_event("hold", NEW, "2026-11-21")
    assert rules(result_for(NEW, promoted, hold)) == [Rule.HELD]
    assert result_for(NEW, promoted, hold, make_event("unhold", NEW, "2026-11-22")).passed


def test_a_release_on_hold_that_was_rolled_back_is_not_tried_again() -> None:
    """It is deployed according to Pulumi, but the next `up` would replace the servers once more."""
    state = deployed_old("beta", *group_and_template("1"), release=NEW)
    events = [make_event("promote", NEW), make_event("hold", NEW, "2026-11-21")]
    (finding,) = result_for(NEW, *events, state=state).blockers
    assert (finding.rule, finding.urn, finding.owner) == (Rule.HELD, MEMBERS, "members")
    assert result_for(NEW, events[0], state=state).passed


def test_a_stale_clone_may_not_replace_a_release_that_it_does_not_know() -> None:
    """Someone else released it; this clone would revert it without anybody noticing."""
    promoted = make_event("promote", NEW)
    assert rules(result_for(NEW, promoted, known=[NEW])) == [Rule.STALE]
    assert rules(result_for(NEW, promoted, known=[NEW, OLD])) == []
    assert rules(result_for(NEW, promoted, known=None)) == []
    assert rules(result_for(OLD, known=[])) == []


def test_an_older_release_must_come_from_a_rollback_or_a_promotion() -> None:
    """Going back is never a side effect of another edit."""
    assert rules(result_for(OLDER)) == [Rule.OLDER]
    assert result_for(OLDER, make_event("rollback", OLDER)).passed
    assert result_for(OLDER, make_event("promote", OLDER)).passed
    assert rules(result_for(OLDER, make_event("rollback", OLDER), make_event("promote", NEW))) == [Rule.OLDER]
    assert rules(result_for(OLDER, make_event("rollback", {**OLDER, "image": "y"}))) == [Rule.OLDER]


def test_a_version_belongs_to_one_image() -> None:
    """Its settings may change, but under the version that runs or that the journal knows, there is no other build."""
    rebuilt, configured = {**OLD, "image": "z"}, {**OLD, "environment_variables": {"A": "b"}}
    assert rules(result_for(rebuilt)) == [Rule.REUSED]
    assert rules(result_for(configured)) == []
    assert rules(result_for(NEW, make_event("promote", {**NEW, "image": "z"}))) == [Rule.REUSED]
    assert result_for(NEW, make_event("hold", {**NEW, "image": "z"}), make_event("promote", NEW)).passed


# --- releases that nobody promoted


def needs_approval(result: GateResult) -> bool:
    """Tell whether the release itself needs an approval, and nothing else."""
    assert [item.change.property for item in result.judged] in ([], ["release"])
    assert result.blockers == ()
    return not result.passed


def test_only_a_promoted_release_needs_no_approval() -> None:
    """Exactly it must have been promoted to beta, on the same backend, and not rolled back since."""
    promoted = make_event("promote", NEW)
    assert not needs_approval(result_for(OLD))
    assert needs_approval(result_for(NEW))
    assert not needs_approval(result_for(NEW, promoted))
    assert needs_approval(result_for(NEW, promoted, backend="aws"))
    assert needs_approval(result_for({**NEW, "environment_variables": {"A": "b"}}, promoted))
    assert needs_approval(result_for(NEW, promoted, make_event("rollback", OLD, "2026-11-21")))


def test_some_releases_need_no_promotion() -> None:
    """Alpha's come from CI, staging is beside the path, and a service's first release comes with its configuration."""
    assert not needs_approval(result_for(NEW, state=deployed_old("alpha")))
    assert not needs_approval(result_for(NEW, state=deployed_old("staging")))
    assert not needs_approval(result_for(NEW, state=make_state(make_update({"members": {"release": OLD}}))))
    assert not needs_approval(result_for(NEW, enabled=False))


def test_a_release_that_nobody_promoted_can_be_approved() -> None:
    """Exactly it: another release needs another approval."""
    scenario = Scenario(
        deployed_old(), {SERVICES_KEY: {"members": {"release": NEW}}, ENVIRONMENT_KEY: {"domain": "d"}}, {}
    )
    (item,) = evaluate(scenario).unapproved
    assert (item.change.urn, item.change.owner, item.cause) == (MEMBERS, "members", Cause.UNEXPLAINED)
    assert evaluate(scenario, approval([item.change])).passed
    scenario.config[SERVICES_KEY]["members"]["release"] = {**NEW, "image": "c"}
    assert not evaluate(scenario, approval([item.change])).passed


def test_a_resource_of_an_environment_without_history_is_protected() -> None:
    """Nobody knows whether its data may be lost."""
    database = child_urn(PAYMENTS, "aws:rds/instance:Instance", "payments-db")
    assert gate.is_protected(make_state(resources=({"urn": database, "parent": PAYMENTS},)))
