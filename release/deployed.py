"""What runs in an environment, from Pulumi's own word: the state and the history of updates, never the file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SERVICES_KEY, ENVIRONMENT_KEY = "100xglobal:services", "100xglobal:environment"
DEPLOYING = {"update", "refresh", "destroy"}  # kinds of updates that tell what runs
Pulumi = Callable[[Sequence[str]], str]  # runs a Pulumi command on a stack and returns its standard output


@dataclass(frozen=True)
class Update:
    """One update of a stack. config: what it ran with, by key."""

    kind: str
    result: str
    ended: datetime
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Deployed:
    """A stack as it is: its updates, the newest first, and the resources in its state."""

    stack: str
    updates: tuple[Update, ...]
    resources: tuple[Mapping[str, Any], ...]
    pending: tuple[str, ...]

    def config(self) -> Mapping[str, Any]:
        """Return what the newest successful update ran with; empty where there is none."""
        return next((update.config for update in self.updates if update.kind == "update" and update.result == "succeeded"), {})

    def release(self, service: str) -> Mapping[str, Any] | None:
        """Return the release that a service runs, or None."""
        block = (self.config().get(SERVICES_KEY) or {}).get(service) or {}
        runs = block.get("enabled", True) and any(resource["urn"].endswith(f"ServiceEnvironment::{service}") for resource in self.resources)
        return block.get("release") if runs else None

    def since(self, service: str) -> datetime | None:
        """Return when the release that a service runs came: the oldest of the unbroken run of updates that have it."""
        release, found = self.release(service), None
        if release is None:
            return None
        for update in self.updates:
            if update.kind != "update" or update.result != "succeeded":
                continue
            if ((update.config.get(SERVICES_KEY) or {}).get(service) or {}).get("release") != release:
                break
            found = update.ended
        return found

    def troubles(self, service: str) -> list[str]:
        """Return why the service cannot be called healthy, from all that Pulumi knows."""
        out = []
        last = next((update for update in self.updates if update.kind in DEPLOYING), None)
        if last and last.result != "succeeded":
            out.append(f"the last update of {self.stack} {last.result}")
        mine = below(service, self.resources)
        out += [
            f"{name_of(resource['urn'])} was made only half ({'; '.join(resource['initErrors'])[:200]})"
            for resource in self.resources
            if resource.get("initErrors") and resource["urn"] in mine
        ]
        out += [f"an operation on {name_of(urn)} never ended" for urn in self.pending]
        return out


def name_of(urn: str) -> str:
    """Return a resource's name."""
    return urn.rsplit("::", 1)[-1]


def type_of(urn: str) -> str:
    """Return a resource's own type; a URN carries those of its ancestors too."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def parents(*states: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return each resource's parent."""
    return {resource["urn"]: resource.get("parent", "") for resources in states for resource in resources}


def owner(urn: str, parent_of: Mapping[str, str]) -> str:
    """Return the service that a resource belongs to; `foundation` where none is its ancestor."""
    while urn:
        if type_of(urn) == "hundredx:components:ServiceEnvironment":
            return name_of(urn)
        urn = parent_of.get(urn, "")
    return "foundation"


def below(service: str, resources: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the URNs of a service's resources."""
    parent_of = parents(resources)
    return {urn for urn in parent_of if owner(urn, parent_of) == service}


def parse_time(text: str) -> datetime:
    """Return a time of Pulumi's."""
    return datetime.fromisoformat(text)


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


def read(stack: str, pulumi: Pulumi) -> Deployed:
    """Return a stack as it is."""
    history = json.loads(pulumi(["stack", "history", "--json", "--stack", stack]) or "[]")
    updates = tuple(Update(entry["kind"], entry["result"], parse_time(entry.get("endTime") or entry["startTime"]), config_values(entry.get("config") or {})) for entry in history)
    deployment = json.loads(pulumi(["stack", "export", "--stack", stack]))["deployment"]
    pending = tuple(entry["resource"]["urn"] for entry in deployment.get("pending_operations") or [])
    return Deployed(stack, updates, tuple(deployment.get("resources") or []), pending)
