"""The policy pack's checks: the gate's findings at the resources, and whether Pulumi does what was judged."""

import json
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import proxy

from cli import policy_checks
from cli.policy_checks import Verdict, deviations, judge, judge_on, plain
from common.errors import InfraError
from release.changes import SECRET_MARKER, UNKNOWN
from release.holds import hold
from tests.unit.fake_backend import FakeBackend, group_urn, make_backend
from tests.unit.release_builders import MEMBERS, NOW, edit_file

URN = group_urn("members")
PROVIDER = "urn:pulumi:beta::100xglobal::pulumi:providers:aws::default"


@pytest.fixture
def backend(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return a backend whose next preview replaces the servers of payments, which no configuration asks for."""
    backend = make_backend(release_folder, monkeypatch)
    backend.changed_services = ["payments"]
    return backend


# --- what Pulumi is about to do


def test_inputs_lose_their_proxies() -> None:
    """Every placeholder of the policy SDK for an unknown value becomes the one of previews."""
    inputs = {"tags": {"A": "b"}, "subnets": ["s", proxy.UNKNOWN_STRING_VALUE], "size": proxy.UNKNOWN_NUMBER_VALUE}
    wrapped = proxy.unknown_checking_proxy(inputs)
    assert plain(wrapped) == {"tags": {"A": "b"}, "subnets": ["s", UNKNOWN], "size": UNKNOWN}
    assert json.dumps(plain(wrapped))


@pytest.mark.parametrize(
    ("planned", "actual", "paths"),
    [
        ({"size": 4}, {"size": 4.0}, []),
        ({"size": 4}, {"size": 5}, ["size"]),
        ({"size": 4}, {"size": 4, "public": True}, ["public"]),
        ({"policy": UNKNOWN}, {"policy": '{"Action": "*"}'}, []),
        ({"password": {SECRET_MARKER: "1"}}, {"password": "p"}, []),
        ({"name": "a-1a2b3c4", "__defaults": ["name"]}, {"name": "a-5d6e7f8", "__defaults": ["name"]}, []),
        ({"tags": {"A": "b"}}, {"tags": {"A": "c"}}, ["tags.A"]),
    ],
)
def test_inputs_must_be_those_that_were_judged(planned: Any, actual: Any, paths: list[str]) -> None:
    """As far as both are known. Pulumi chooses new automatic names in every run."""
    assert list(deviations(planned, actual)) == paths


def test_a_resource_that_was_not_judged_is_refused() -> None:
    """The program registers something else than in the preview of the gate."""
    verdict = Verdict(planned={URN: {}})
    assert list(verdict.violations(f"{URN}-2", {})) == [
        "members-servers-group-2 was not in the preview that the gate judged"
    ]
    assert list(verdict.violations(PROVIDER, {})) == []


def test_findings_are_reported_where_they_belong() -> None:
    """A resource that the program no longer has is reported with the stack."""
    verdict = Verdict(by_urn={URN: ("would be deleted",)}, planned={URN: {"size": 4}})
    assert list(verdict.violations(URN, {"size": 4})) == ["would be deleted"]
    assert list(verdict.violations_elsewhere({URN})) == []
    assert list(verdict.violations_elsewhere(set())) == [(URN, "would be deleted")]


# --- the gate


def test_the_gate_runs_and_its_findings_are_grouped_by_resource(backend: FakeBackend) -> None:
    """Each message says what would change, why that fails the gate, and how to see it."""
    verdict = judge_on(backend.folder, backend, "beta")
    (message,) = verdict.by_urn[group_urn("payments")]
    assert message.startswith("launchTemplate.version: ")
    assert "does not follow from the configuration that differs; needs 1 approval" in message
    assert message.endswith("See ./infra gate beta")
    assert verdict.planned == {group_urn("payments"): {"launchTemplate": {"version": UNKNOWN}}}


def test_nothing_fails_the_gate_in_an_empty_environment(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing that it could protect, and nothing is previewed."""
    monkeypatch.setattr(policy_checks, "has_resources", lambda _: False)
    assert judge_on(backend.folder, backend, "beta") == Verdict()


def test_a_release_on_hold_is_refused_in_an_empty_environment(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `./infra up`."""
    monkeypatch.setattr(policy_checks, "has_resources", lambda _: False)
    hold(backend.folder, "members", "1.4.2", "loses sessions", NOW)
    edit_file(backend.folder, "beta", 'SIGN_UP: "open"', 'SIGN_UP: "closed"')
    (message,) = judge_on(backend.folder, backend, "beta").general
    assert message.startswith("members: release 1.4.2 is on hold by Kim")


def test_if_the_gate_cannot_run_everything_is_refused(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is the violation of every resource."""

    def fail(*_: object) -> Verdict:
        raise InfraError("the preview failed")

    monkeypatch.setattr(policy_checks, "backend_named", lambda _: backend)
    monkeypatch.setattr(policy_checks, "judge_on", fail)
    verdict = judge(backend.folder, "beta")
    assert list(verdict.violations(MEMBERS, {})) == ["the gate cannot judge this update: the preview failed"]


@pytest.mark.parametrize(("variable", "name"), [("INFRA_SANDBOX_STALE_CHECK", "sandbox"), ("OTHER", "aws")])
def test_the_gate_runs_where_pulumi_runs(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    """Pulumi in the sandbox has a variable that plain Pulumi does not have."""
    names: list[str] = []

    def backend_named(chosen: str) -> FakeBackend:
        names.append(chosen)
        return backend

    monkeypatch.delenv("INFRA_SANDBOX_STALE_CHECK", raising=False)
    monkeypatch.setenv(variable, "x")
    monkeypatch.setattr(policy_checks, "backend_named", backend_named)
    judge(backend.folder, "beta")
    assert names == [name]
