"""What runs in an environment, from Pulumi's own word: the state and the history of updates, never the file."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SERVICES_KEY, ENVIRONMENT_KEY = "100xglobal:services", "100xglobal:environment"
SERVICE_TYPE, STACK_TYPE, GROUP_TYPE = "hundredx:components:ServiceEnvironment", "pulumi:pulumi:Stack", "aws:autoscaling/group:Group"
TEMPLATE_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"
FOUNDATION = "foundation"
DEPLOYING = {"update", "destroy"}  # kinds of updates that change what runs
Pulumi = Callable[[Sequence[str]], str]  # runs a Pulumi command on a stack and returns its standard output


@dataclass(frozen=True)
class Update:
    """One update of a stack. config: what it ran with, by key. commit: of the program that it ran, where git knew it."""

    kind: str
    result: str
    ended: datetime
    config: Mapping[str, Any]
    commit: str = ""

    def releases(self) -> dict[str, Mapping[str, Any]]:
        """Return the release of each service that it switched on."""
        services = self.config.get(SERVICES_KEY)
        blocks = services.items() if isinstance(services, dict) else ()
        return {name: block.get("release") or {} for name, block in blocks if isinstance(block, dict) and block.get("enabled", True)}

    @property
    def succeeded(self) -> bool:
        """Whether what it ran with is what runs since."""
        return self.kind == "update" and self.result == "succeeded"


@dataclass(frozen=True)
class Deployed:
    """A stack as it is: its updates, the newest first, and the resources in its state. digest: of all of it, to see a change."""

    stack: str
    updates: tuple[Update, ...]
    resources: tuple[Mapping[str, Any], ...]
    pending: tuple[str, ...]
    digest: str = ""

    def standing(self) -> tuple[Update, ...]:
        """Return the updates since the stack was last destroyed: what was before says nothing of what is there."""
        destroyed = next((index for index, update in enumerate(self.updates) if (update.kind, update.result) == ("destroy", "succeeded")), None)
        return self.updates[:destroyed]

    def latest(self) -> Update | None:
        """Return the newest successful update of what is there."""
        return next((update for update in self.standing() if update.succeeded), None)

    def config(self) -> Mapping[str, Any]:
        """Return what the newest successful update ran with; empty where there is none."""
        latest = self.latest()
        return latest.config if latest else {}

    def release(self, service: str) -> Mapping[str, Any] | None:
        """Return the release that a service runs, or None."""
        latest = self.latest()
        there = any(type_of(resource["urn"]) == SERVICE_TYPE and name_of(resource["urn"]) == service for resource in self.resources)
        return latest.releases().get(service) if latest and there else None

    def services(self) -> list[str]:
        """Return the services that run, in the order of their names."""
        latest = self.latest()
        return sorted(name for name in (latest.releases() if latest else {}) if self.release(name) is not None)

    def since(self, service: str) -> datetime | None:
        """Return when the release that a service runs came: the oldest of the unbroken run of updates that have it.

        An update that failed breaks nothing where it wanted the same release; one that wanted another may have begun it.
        """
        release, found = self.release(service), None
        if release is None:
            return None
        for update in self.standing():
            if update.kind != "update":
                continue
            if update.releases().get(service) != release:
                break
            found = update.ended if update.succeeded else found
        return found

    def troubles(self, service: str) -> list[str]:
        """Return why the service cannot be called healthy, from all that Pulumi knows."""
        out = []
        last = self.last_change()
        if last and last.result != "succeeded":
            out.append(f"the last {last.kind} of {self.stack} {last.result}")
        release, told = self.release(service), self.announced(service)
        if release is not None and told is not None and (told.get("release"), told.get("image")) != (release.get("version"), release.get("image")):
            out.append(f"the outputs of {self.stack} say {told.get('release')}, and its last update ran with {release.get('version')}")
        mine = below(service, self.resources)
        out += [
            f"{name_of(resource['urn'])} was made only half ({'; '.join(resource['initErrors'])[:200]})"
            for resource in self.resources
            if resource.get("initErrors") and resource["urn"] in mine
        ]
        out += [f"an operation on {name_of(urn)} never ended" for urn in self.pending]
        return out

    def last_change(self) -> Update | None:
        """Return the newest update that changed what runs, or tried to."""
        return next((update for update in self.updates if update.kind in DEPLOYING), None)

    def announced(self, service: str) -> Mapping[str, Any] | None:
        """Return what the stack's outputs say of a service, or None."""
        root = next((resource for resource in self.resources if type_of(resource["urn"]) == STACK_TYPE), {})
        found: Mapping[str, Any] | None = ((root.get("outputs") or {}).get("services") or {}).get(service)
        return found

    def groups(self, service: str) -> list[Mapping[str, Any]]:
        """Return the Auto Scaling groups of a service, as the state has them."""
        mine = below(service, self.resources)
        return [resource for resource in self.resources if resource["urn"] in mine and type_of(resource["urn"]) == GROUP_TYPE]

    def has_ever_come_up(self, owner_of: str) -> bool:
        """Tell whether a service, or the foundation, was there in a good update: what is only half there has nobody yet whom it could be opened to."""
        latest = self.latest()
        return latest is not None and (owner_of == FOUNDATION or owner_of in latest.releases())

    def unfinished(self) -> set[str]:
        """Return the services whose group does not run the newest version of its launch template: AWS took that deployment back."""
        newest = {str(resource.get("id")): resource.get("outputs") or {} for resource in self.resources if type_of(resource["urn"]) == TEMPLATE_TYPE}
        out = set()
        for service in self.services():
            for group in self.groups(service):
                runs = (group.get("outputs") or {}).get("launchTemplate") or {}
                template = newest.get(str(runs.get("id")))
                if template and str(template.get("latestVersion")) != str(runs.get("version")):
                    out.add(service)
        return out


def fingerprint(release: Mapping[str, Any]) -> str:
    """Return a digest of a release: two are the same release if it is the same, however they are written."""
    return hashlib.sha256(json.dumps(release, sort_keys=True, default=str).encode()).hexdigest()[:16]


def name_of(urn: str) -> str:
    """Return a resource's name."""
    return urn.rsplit("::", 1)[-1]


def stack_of(urn: str) -> str:
    """Return the stack that a resource is in."""
    return urn.removeprefix("urn:pulumi:").split("::", 1)[0]


def type_of(urn: str) -> str:
    """Return a resource's own type; a URN carries those of its ancestors too."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def parents(*states: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return each resource's parent."""
    return {resource["urn"]: resource.get("parent", "") for resources in states for resource in resources}


def owner(urn: str, parent_of: Mapping[str, str]) -> str:
    """Return the service that a resource belongs to; `foundation` where none is its ancestor."""
    while urn:
        if type_of(urn) == SERVICE_TYPE:
            return name_of(urn)
        urn = parent_of.get(urn, "")
    return FOUNDATION


def below(service: str, resources: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the URNs of a service's resources."""
    parent_of = parents(resources)
    return {urn for urn in parent_of if owner(urn, parent_of) == service}


def config_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an update's configuration with objects as objects; secrets are left out."""
    out: dict[str, Any] = {}
    for key, entry in config.items():
        if entry.get("secret"):
            continue
        text = entry.get("value")
        try:
            out[key] = json.loads(text) if key in {SERVICES_KEY, ENVIRONMENT_KEY} else text
        except (TypeError, ValueError):
            out[key] = text
    return out


def update_of(entry: Mapping[str, Any]) -> Update:
    """Return an update from an entry of `pulumi stack history --json`."""
    ended = datetime.fromisoformat(entry.get("endTime") or entry["startTime"])
    return Update(entry["kind"], entry["result"], ended, config_values(entry.get("config") or {}), str((entry.get("environment") or {}).get("git.head", "")))


def read(stack: str, pulumi: Pulumi) -> Deployed:
    """Return a stack as it is."""
    history = pulumi(["stack", "history", "--json", "--page-size", "0", "--stack", stack]) or "[]"
    exported = pulumi(["stack", "export", "--stack", stack])
    deployment = json.loads(exported)["deployment"]
    pending = tuple(entry["resource"]["urn"] for entry in deployment.get("pending_operations") or [])
    digest = hashlib.sha256(exported.encode()).hexdigest()
    return Deployed(stack, tuple(map(update_of, json.loads(history))), tuple(deployment.get("resources") or []), pending, digest)
