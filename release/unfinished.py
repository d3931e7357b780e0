"""Operations of which nobody knows how they ended: what they were, and the state without them.

Pulumi lists what it had begun when it was killed. A creation that failed without an answer from AWS, because the
connection broke, the provider died or somebody pressed Ctrl-C, is only in Pulumi's log of events.

A deployment is what `pulumi stack export` prints, below `deployment`. Its values have no fixed type, hence `Any`.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from release.changes import SECRET_MARKER
from release.stack_state import StackState, Update

PENDING_KEY = "pending_operations"
DEFAULTS_KEY = "__defaults"  # the engine's note of which inputs the program did not set
REFUSED = re.compile(r"StatusCode: 4\d\d")  # in the message of an error: AWS has answered, and created nothing
HIDDEN = "[secret]"  # what a log of events has in place of a secret
UNANSWERED = "unanswered"  # the kind of an operation that failed, as far as Pulumi knows
KEPT_FIELDS = frozenset({"urn", "type", "custom", "parent", "provider", "protect", "retainOnDelete", "inputs"})
Deployment = Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation of which nobody knows how it ended. kind: UNANSWERED, or Pulumi's: `creating`, `updating` etc."""

    kind: str
    resource: Mapping[str, Any]

    @property
    def urn(self) -> str:
        """Return the URN of its resource."""
        return str(self.resource["urn"])

    @property
    def creates(self) -> bool:
        """Whether the resource may exist although the state does not contain it."""
        return self.kind in {"creating", "importing", UNANSWERED}

    @property
    def known_id(self) -> str:
        """The ID of a resource that Pulumi had created and not yet recorded as created; otherwise empty."""
        return str(self.resource.get("id") or "")


def operations(deployment: Deployment) -> list[Operation]:
    """Return the operations that did not complete."""
    entries = deployment.get(PENDING_KEY) or []
    return [Operation(str(entry.get("type", "")), entry["resource"]) for entry in entries]


def unanswered_creations(events: Iterable[Mapping[str, Any]]) -> list[Operation]:
    """Return the creations in a log of events that failed although AWS may have carried them out.

    A resource that has an ID is in the state already. What AWS has refused does not exist. A replacement is left out,
    because the state has a resource of its URN.
    """
    failed: dict[str, Mapping[str, Any]] = {}
    messages: dict[str, str] = {}
    for event in events:
        if diagnostic := event.get("diagnosticEvent"):
            urn = diagnostic.get("urn", "")
            messages[urn] = messages.get(urn, "") + diagnostic.get("message", "")
        if failure := event.get("resOpFailedEvent"):
            metadata = failure["metadata"]
            if metadata["op"] == "create" and not metadata["new"].get("id"):
                failed[metadata["urn"]] = {key: value for key, value in metadata["new"].items() if key in KEPT_FIELDS}
    return [
        Operation(UNANSWERED, resource)
        for urn, resource in failed.items()
        if not REFUSED.search(messages.get(urn, "")) and HIDDEN not in json.dumps(resource["inputs"])
    ]


def revealed_inputs(deployment: Deployment) -> dict[str, Mapping[str, Any]]:
    """Return the inputs of each unfinished operation by URN. deployment: exported with its secrets in plain text."""
    return {operation.urn: revealed(operation.resource.get("inputs") or {}) for operation in operations(deployment)}


def revealed(value: Any) -> Any:
    """Return a value with the secrets in it as what they contain. Any: JSON of any kind."""
    if isinstance(value, Mapping):
        if SECRET_MARKER in value:
            return json.loads(value["plaintext"])
        return {key: revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, list) else value


def urns(deployment: Deployment) -> set[str]:
    """Return the URNs of the resources in the state."""
    return {str(resource["urn"]) for resource in deployment.get("resources") or []}


def known_ids(deployment: Deployment) -> set[tuple[str, str]]:
    """Return the types and IDs of the resources in the state. Resources of different types can have the same ID."""
    resources = deployment.get("resources") or []
    return {(str(resource["type"]), str(resource["id"])) for resource in resources if resource.get("id")}


def adopted(operation: Operation, resource_id: str) -> dict[str, Any]:
    """Return the resource that an operation created, as the state has to contain it before its outputs are read."""
    inputs = {key: value for key, value in operation.resource["inputs"].items() if key != DEFAULTS_KEY}
    outputs = operation.resource.get("outputs") or inputs
    return {**operation.resource, "id": resource_id, "outputs": outputs}


def without_operations(deployment: Deployment, adopted_resources: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a deployment without unfinished operations, and with the resources that they created.

    A resource that was being replaced becomes one that the next update deletes.
    """
    replaced = {resource["urn"] for resource in adopted_resources}
    before = deployment.get("resources") or []
    kept = [{**resource, "delete": True} if resource["urn"] in replaced else resource for resource in before]
    others = {key: value for key, value in deployment.items() if key != PENDING_KEY}
    return {**others, "resources": [*kept, *adopted_resources]}


def with_inputs(deployment: Deployment, adopted_resources: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a deployment in which adopted resources have the inputs of the program, and outputs for all of them.

    Reading a resource from AWS loses what AWS does not store, such as how a password is managed.
    """
    by_urn = {resource["urn"]: resource for resource in adopted_resources}

    def restored(resource: Mapping[str, Any]) -> Mapping[str, Any]:
        original = by_urn.get(resource["urn"])
        if original is None or resource.get("delete"):
            return resource
        outputs = {**original["outputs"], **(resource.get("outputs") or {})}
        return {**resource, "inputs": original["inputs"], "outputs": outputs}

    return {**deployment, "resources": [restored(resource) for resource in deployment.get("resources") or []]}


@dataclass(frozen=True)
class Attempt:
    """An update that this machine began.

    Attributes:
        started: When, in UTC.
        config: The configuration that it ran with, by key.
        was_empty: Whether the environment had no resources.
    """

    started: datetime
    config: Mapping[str, Any]
    was_empty: bool


def with_attempt(deployed: StackState, attempt: Attempt) -> StackState:
    """Return a state whose history contains an update that was killed, because Pulumi records only what ended.

    An attempt that Pulumi has recorded, or that was followed by another update, is left out. So is one that began with
    an empty environment, if there is a resource that it cannot have created: the state was imported from elsewhere.
    """
    last = deployed.last_change()
    if last is not None and last.ended >= attempt.started:
        return deployed
    if attempt.was_empty and any(_created(resource) < attempt.started for resource in deployed.resources):
        return deployed
    killed = Update("update", "failed", attempt.started, attempt.config)
    return replace(deployed, updates=(killed, *deployed.updates))


def _created(resource: Mapping[str, Any]) -> datetime:
    """Return when a resource was created; the end of time for a component or what this update was still creating."""
    created = resource.get("created")
    return datetime.fromisoformat(created) if created else datetime.max.replace(tzinfo=UTC)
