"""What is deployed in an environment, according to Pulumi's state and its history of updates, never to a file."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from components import type_tokens
from settings.models import Release
from settings.project_files import ENVIRONMENT_KEY, PROMOTION_KEY, SERVICES_KEY

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
GROUP_TYPE = "aws:autoscaling/group:Group"
TEMPLATE_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"
FOUNDATION = "foundation"  # the owner of every resource that belongs to no service
CHANGING_UPDATES = frozenset({"update", "destroy"})  # the kinds of updates that change what is deployed
RunPulumi = Callable[[Sequence[str]], str]  # runs a Pulumi command and returns its standard output


@dataclass(frozen=True)
class Update:
    """One update of a stack.

    Attributes:
        kind: `update`, `destroy`, `refresh` and so on, as in Pulumi's history.
        result: `succeeded` or `failed`.
        ended: When it ended.
        config: The configuration that it ran with, by key.
        commit: The commit of the program that it ran, if git knew it.
        is_dirty: Whether there were changes besides that commit.
    """

    kind: str
    result: str
    ended: datetime
    config: Mapping[str, Any]
    commit: str = ""
    is_dirty: bool = False

    def releases(self) -> dict[str, Mapping[str, Any]]:
        """Return the release of each service that this update enabled."""
        services = self.config.get(SERVICES_KEY)
        blocks = services.items() if isinstance(services, dict) else ()
        enabled = {name: block for name, block in blocks if isinstance(block, dict) and block.get("enabled", True)}
        return {name: block.get("release") or {} for name, block in enabled.items()}

    @property
    def succeeded(self) -> bool:
        """Whether this update deployed what its configuration describes."""
        return self.kind == "update" and self.result == "succeeded"


@dataclass(frozen=True)
class StackState:
    """The state of a stack.

    Attributes:
        stack: The stack's name, which is the environment's.
        updates: Its updates, newest first.
        resources: The resources in its state.
        pending: URNs of operations that did not complete.
        digest: A digest of the whole state, to notice that it changed.
    """

    stack: str
    updates: tuple[Update, ...]
    resources: tuple[Mapping[str, Any], ...]
    pending: tuple[str, ...]
    digest: str = ""

    def updates_since_destroy(self) -> tuple[Update, ...]:
        """Return the updates since the stack was last destroyed; older ones say nothing about what exists."""
        for index, update in enumerate(self.updates):
            if (update.kind, update.result) == ("destroy", "succeeded"):
                return self.updates[:index]
        return self.updates

    def last_success(self) -> Update | None:
        """Return the newest successful update of what exists."""
        return next((update for update in self.updates_since_destroy() if update.succeeded), None)

    def last_change(self) -> Update | None:
        """Return the newest update that changed what is deployed, or tried to."""
        return next((update for update in self.updates if update.kind in CHANGING_UPDATES), None)

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the newest successful update; empty if there is none."""
        update = self.last_success()
        return update.config if update else {}

    def release(self, service: str) -> Mapping[str, Any] | None:
        """Return the release of a service that is deployed, or None."""
        update = self.last_success()
        exists = any(is_service(resource["urn"]) and name_of(resource["urn"]) == service for resource in self.resources)
        return update.releases().get(service) if update and exists else None

    def services(self) -> list[str]:
        """Return the names of the deployed services, sorted."""
        update = self.last_success()
        return sorted(name for name in (update.releases() if update else {}) if self.release(name) is not None)

    def running_since(self, service: str) -> datetime | None:
        """Return when the deployed release of a service was first deployed without interruption.

        A failed update that wanted the same release does not interrupt it. One that wanted another release does,
        because it may have replaced servers.
        """
        release, since = self.release(service), None
        if release is None:
            return None
        for update in self.updates_since_destroy():
            if update.kind != "update":
                continue
            if not is_same_release(update.releases().get(service), release):
                break
            since = update.ended if update.succeeded else since
        return since

    def health_issues(self, service: str) -> list[str]:
        """Return why Pulumi's state and history do not show the service as healthy."""
        issues = []
        last = self.last_change()
        if last and last.result != "succeeded":
            issues.append(f"the last {last.kind} of {self.stack} {last.result}")
        release, output = self.release(service), self.service_output(service)
        if release is not None and output is not None:
            deployed = (release.get("version"), release.get("image"))
            if (output.get("release"), output.get("image")) != deployed:
                issues.append(
                    f"the outputs of {self.stack} name release {output.get('release')}, "
                    f"but its last update deployed {release.get('version')}"
                )
        if self.is_rolled_back(service):
            issues.append(f"the servers of its last release failed in {self.stack}, and the previous one runs again")
        own = urns_of(service, self.resources)
        for resource in self.resources:
            if resource.get("initErrors") and resource["urn"] in own:
                reason = "; ".join(resource["initErrors"])[:200]
                issues.append(f"{name_of(resource['urn'])} was only partially created ({reason})")
        return issues + [f"an operation on {name_of(urn)} did not complete" for urn in self.pending]

    def service_output(self, service: str) -> Mapping[str, Any] | None:
        """Return what the stack's outputs say about a service, or None."""
        root = next((resource for resource in self.resources if type_of(resource["urn"]) == STACK_TYPE), {})
        services = (root.get("outputs") or {}).get("services") or {}
        output: Mapping[str, Any] | None = services.get(service)
        return output

    def groups(self, service: str) -> list[Mapping[str, Any]]:
        """Return the Auto Scaling groups of a service, as they are in the state."""
        own = urns_of(service, self.resources)
        groups = [resource for resource in self.resources if type_of(resource["urn"]) == GROUP_TYPE]
        return [group for group in groups if group["urn"] in own]

    def is_rolled_back(self, service: str) -> bool:
        """Tell whether a service was rolled back: its group uses an older version of its launch template."""
        groups = self.groups(service) if self.release(service) is not None else []
        if not groups:
            return False
        newest = {
            str(resource.get("id")): str((resource.get("outputs") or {}).get("latestVersion"))
            for resource in self.resources
            if type_of(resource["urn"]) == TEMPLATE_TYPE
        }
        used = [(group.get("outputs") or {}).get("launchTemplate") or {} for group in groups]
        return any(
            newest.get(str(template.get("id")), str(template.get("version"))) != str(template.get("version"))
            for template in used
        )

    def rolled_back_services(self) -> set[str]:
        """Return the services that were rolled back."""
        return {service for service in self.services() if self.is_rolled_back(service)}


def without_defaults(release: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a release without the values that it would have anyway; as it is if it is not valid."""
    try:
        return Release.model_validate(release).model_dump(exclude_defaults=True)
    except ValidationError:
        return release


def fingerprint(release: Mapping[str, Any]) -> str:
    """Return a digest of a release's content; it does not depend on how the release is written.

    A default that one file spells out and another leaves out makes no difference.
    """
    content = json.dumps(without_defaults(release), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def is_same_release(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Tell whether two releases have the same content."""
    if one is None or other is None:
        return one is other
    return one == other or fingerprint(one) == fingerprint(other)


def name_of(urn: str) -> str:
    """Return a resource's name."""
    return urn.rsplit("::", 1)[-1]


def stack_of_urn(urn: str) -> str:
    """Return the stack that a resource belongs to."""
    return urn.removeprefix("urn:pulumi:").split("::", 1)[0]


def type_of(urn: str) -> str:
    """Return a resource's own type. A URN also contains the types of its ancestors."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def is_service(urn: str) -> bool:
    """Tell whether a URN is that of a service's root component."""
    return type_of(urn) == type_tokens.SERVICE_ENVIRONMENT


def parents_by_urn(*states: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return each resource's parent."""
    return {resource["urn"]: resource.get("parent", "") for resources in states for resource in resources}


def owner_of(urn: str, parents: Mapping[str, str]) -> str:
    """Return the service that a resource belongs to, or `foundation` if no ancestor is a service."""
    while urn:
        if is_service(urn):
            return name_of(urn)
        urn = parents.get(urn, "")
    return FOUNDATION


def urns_of(service: str, resources: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the URNs of a service's resources."""
    parents = parents_by_urn(resources)
    return {urn for urn in parents if owner_of(urn, parents) == service}


def parse_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an update's configuration with our structured values decoded.

    Secrets are left out, and so is the promotion path: it is project configuration and changes nothing that is
    deployed.
    """
    values: dict[str, Any] = {}
    for key, entry in config.items():
        if entry.get("secret") or key == PROMOTION_KEY:
            continue
        text = entry.get("value")
        try:
            values[key] = json.loads(text) if key in {SERVICES_KEY, ENVIRONMENT_KEY} else text
        except (TypeError, ValueError):
            values[key] = text
    return values


def parse_update(entry: Mapping[str, Any]) -> Update:
    """Return an update from an entry of `pulumi stack history --json`."""
    git = entry.get("environment") or {}
    return Update(
        kind=entry["kind"],
        result=entry["result"],
        ended=datetime.fromisoformat(entry.get("endTime") or entry["startTime"]),
        config=parse_config(entry.get("config") or {}),
        commit=str(git.get("git.head", "")),
        is_dirty=str(git.get("git.dirty", "false")) != "false",
    )


def read(stack: str, run_pulumi: RunPulumi) -> StackState:
    """Return the state of a stack."""
    history = run_pulumi(["stack", "history", "--json", "--page-size", "0", "--stack", stack]) or "[]"
    exported = run_pulumi(["stack", "export", "--stack", stack])
    deployment = json.loads(exported)["deployment"]
    return StackState(
        stack=stack,
        updates=tuple(map(parse_update, json.loads(history))),
        resources=tuple(deployment.get("resources") or []),
        pending=tuple(entry["resource"]["urn"] for entry in deployment.get("pending_operations") or []),
        digest=hashlib.sha256(exported.encode()).hexdigest(),
    )
