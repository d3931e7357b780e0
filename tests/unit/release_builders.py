"""Builders for the tests of releases: states, updates, events, previews, and a folder with every environment's file."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components import type_tokens
from release import journal
from release.environment_file import release_in, services_in
from release.health import GroupStatus, ServerReport
from release.journal import Event
from release.promote import Move, Request, Validate, promote
from release.promotion_path import PromotionPath
from release.stack_state import StackState, Update, fingerprint
from settings.project_files import ENVIRONMENT_KEY, PROJECT, SERVICES_KEY, environment_file

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
SAMPLES = Path(__file__).parent / "release_samples"
ENVIRONMENTS = ("alpha", "beta", "prod")
PATH = PromotionPath(ENVIRONMENTS, {"alpha": timedelta(hours=1), "beta": timedelta(hours=24)})
SERVICES = ("core", "members", "payments", "email", "socket", "events")
ENABLED_SERVICES = SERVICES[:-1]  # events is disabled in every environment
OLD, NEW = {"version": "1.0.0", "image": "a"}, {"version": "1.1.0", "image": "b"}


class Clock:
    """A clock for the command line. It advances by a second at each call, so that no two events have the same time."""

    def __init__(self, start: datetime = NOW) -> None:
        """Set the clock."""
        self.now = start

    def __call__(self) -> datetime:
        """Return the time."""
        self.now += timedelta(seconds=1)
        return self.now


def replace_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give every command the same artificial clock, and return it."""
    clock = Clock()
    for module in ("gate", "up", "promote", "rollback", "hold"):
        monkeypatch.setattr(f"cli.{module}.clock", clock)
    return clock


def set_author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make git know whoever runs the tests as Kim."""
    values = {"user.name": "Kim", "user.email": "kim@example.com"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(values)))
    for index, (key, value) in enumerate(values.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{index}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{index}", value)


# --- URNs and resources


def service_urn(service: str, stack: str = "beta") -> str:
    """Return the URN of a service's root component."""
    return f"urn:pulumi:{stack}::{PROJECT}::{type_tokens.SERVICE_ENVIRONMENT}::{service}"


MEMBERS, PAYMENTS = service_urn("members"), service_urn("payments")


def child_urn(parent: str, resource_type: str, name: str) -> str:
    """Return the URN of a resource directly below another one."""
    head, types, _ = parent.rsplit("::", 2)
    return f"{head}::{types}${resource_type}::{name}"


def group_and_template(version: str, latest_version: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an Auto Scaling group of members that uses a version of its launch template, and the template."""
    template = {
        "urn": child_urn(MEMBERS, "aws:ec2/launchTemplate:LaunchTemplate", "t"),
        "parent": MEMBERS,
        "id": "lt-1",
        "outputs": {"latestVersion": latest_version},
    }
    group = {
        "urn": child_urn(MEMBERS, "aws:autoscaling/group:Group", "g"),
        "parent": MEMBERS,
        "outputs": {"launchTemplate": {"id": "lt-1", "version": version}},
    }
    return group, template


# --- updates, states and previews


def make_update(services: Mapping[str, Any], result: str = "succeeded", domain: str = "d") -> Update:
    """Return an update that ran with a configuration of services."""
    return Update("update", result, NOW, {SERVICES_KEY: services, ENVIRONMENT_KEY: {"domain": domain}})


def make_state(
    *updates: Update, resources: tuple[Mapping[str, Any], ...] = (), pending: tuple[str, ...] = (), stack: str = "beta"
) -> StackState:
    """Return the state of a stack. updates: newest first."""
    return StackState(stack, updates, resources, pending)


def step(
    operation: str,
    urn: str,
    parent: str = MEMBERS,
    *,
    old_inputs: Mapping[str, Any] | None = None,
    new_inputs: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return a step of a preview; a created resource has no old state, a deleted one no new state."""
    old = {"urn": urn, "parent": parent, "inputs": dict(old_inputs or {})}
    new = {"urn": urn, "parent": parent, "inputs": dict(new_inputs or {})}
    return {
        "op": operation,
        "urn": urn,
        "oldState": None if operation == "create" else old,
        "newState": None if operation == "delete" else new,
        **fields,
    }


def policy(*statements: Mapping[str, Any]) -> str:
    """Return the text of an IAM policy."""
    return json.dumps({"Statement": list(statements)})


# --- the journal


def make_event(kind: journal.EventKind, release: Mapping[str, Any], at: str = "2026-11-20", **fields: Any) -> Event:
    """Return an event of members in beta, in the sandbox."""
    values: dict[str, Any] = {
        "kind": kind,
        "service": "members",
        "version": release["version"],
        "image": release["image"],
        "at": at,
        "by": "kim",
        "environment": "beta",
        "backend": "sandbox",
        "reason": "r",
        "fingerprint": fingerprint(release),
    }
    return Event(**values | fields)


# --- a folder with the files of all environments


def copy_release_samples(folder: Path) -> Path:
    """Copy the project's and the environments' files in tests/unit/release_samples to a folder."""
    return shutil.copytree(SAMPLES, folder, dirs_exist_ok=True)


def read_file(folder: Path, stack: str) -> str:
    """Return the text of an environment's file."""
    return (folder / environment_file(stack)).read_text(encoding="utf-8")


def edit_file(folder: Path, stack: str, old: str, new: str) -> None:
    """Replace a text wherever it appears in an environment's file; it must appear."""
    text = read_file(folder, stack)
    assert old in text
    (folder / environment_file(stack)).write_text(text.replace(old, new), encoding="utf-8")


def set_version(folder: Path, stack: str, version: str) -> None:
    """Write another version of members to a file, as CI does for alpha."""
    head, members = read_file(folder, stack).split("    members:\n", 1)
    current = requested_release(folder, stack, "members")["version"]
    members = members.replace(f"version: {current}", f"version: {version}", 1)
    (folder / environment_file(stack)).write_text(f"{head}    members:\n{members}", encoding="utf-8")


def requested_release(folder: Path, stack: str, service: str) -> dict[str, Any]:
    """Return a service's release in a file."""
    return release_in(read_file(folder, stack), service)


def requested_releases(folder: Path, stack: str) -> dict[str, Mapping[str, Any]]:
    """Return every service's release in a file, also of disabled services."""
    return {name: block["release"] for name, block in services_in(read_file(folder, stack)).items()}


def config_in_file(folder: Path, stack: str) -> dict[str, Any]:
    """Return the configuration in a file, as a copy that a test may change."""
    return dict(YAML(typ="safe").load(read_file(folder, stack))["config"])


def state_of_file(folder: Path, stack: str, since: datetime = LONG_AGO, **changes: Any) -> StackState:
    """Return the state of a stack that has run what its file says since a time."""
    config = config_in_file(folder, stack)
    updates = (
        Update("update", "succeeded", NOW - timedelta(minutes=1), config),
        Update("update", "succeeded", since, config),
    )
    resources = tuple({"urn": service_urn(name, stack)} for name in SERVICES)
    return StackState(**{"stack": stack, "updates": updates, "resources": resources, "pending": (), **changes})


def files_below(folder: Path) -> dict[Path, bytes]:
    """Return the content of every file in a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def promote_release(
    folder: Path,
    request: Request,
    source: StackState | None = None,
    *,
    now: datetime = NOW,
    servers: ServerReport | None = None,
    validate: Validate = lambda _file, _text: (),
) -> Move:
    """Promote a release. source: the state of the source; by default it runs what its file says."""
    state = source or state_of_file(folder, request.source)
    return promote(folder, request, state, path=PATH, servers=servers or ServerReport(), now=now, validate=validate)


def promote_members(folder: Path, minutes: float = 0, **fields: Any) -> Move:
    """Promote members from alpha to beta. minutes: after NOW. fields: of the request."""
    request = Request(**{"service": "members", "source": "alpha", "target": "beta", **fields})
    return promote_release(folder, request, now=NOW + timedelta(minutes=minutes))


# --- what AWS reports about servers

GROUP = {
    "urn": "urn:x::members-servers-group",
    "outputs": {
        "name": "g",
        "minSize": 2,
        "launchTemplate": {"id": "lt", "version": "3"},
        "targetGroupArns": ["arn:x:targetgroup/http/1"],
    },
}


def server(
    version: str = "3", lifecycle: str = "InService", health: str = "Healthy", *, name: str = "i-1"
) -> dict[str, Any]:
    """Return a server as AWS describes it."""
    template = {"Version": version}
    return {"InstanceId": name, "LifecycleState": lifecycle, "HealthStatus": health, "LaunchTemplate": template}


def group_status(
    *servers: Mapping[str, Any],
    version: str = "3",
    refresh: Mapping[str, Any] | None = None,
    targets: list[str] | None = None,
    start_script: str = "",
) -> GroupStatus:
    """Return what AWS reports about GROUP. targets: the states of its targets; by default two healthy ones."""
    template = {"LaunchTemplateId": "lt", "Version": version}
    group = {"AutoScalingGroupName": "g", "LaunchTemplate": template, "Instances": list(servers)}
    states = ["healthy", "healthy"] if targets is None else targets
    return GroupStatus(group, refresh, {"arn:x:targetgroup/http/1": states}, start_script)
