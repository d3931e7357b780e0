"""Terraform's state of a resource, which the bridge stores in the resource's outputs, under `__meta`.

States and property values are JSON-like and have no fixed type, hence `Any`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.bridge.conversion import from_terraform, to_terraform
from sandbox.bridge.pulumi_values import PULUMI_UNKNOWN, as_secret, has_secret, unwrap
from sandbox.bridge.terraform import ResourceState
from sandbox.bridge.type_mapping import TypeMapping

META_KEY = "__meta"


@dataclass(frozen=True)
class StoredState:
    """What `__meta` contains.

    Attributes:
        attributes: The resource's attributes as JSON.
        private: The provider's own data about the resource.
        schema_version: The version of Terraform's schema that describes the attributes.
    """

    attributes: str
    private: bytes
    schema_version: int

    @classmethod
    def parse(cls, text: str) -> "StoredState":
        """Return the content of `__meta`."""
        meta = json.loads(text)
        return cls(meta["state"], base64.b64decode(meta["private"]), meta["version"])

    def to_json(self) -> str:
        """Return the text for `__meta`."""
        private = base64.b64encode(self.private).decode()
        return json.dumps({"state": self.attributes, "private": private, "version": self.schema_version})

    def to_resource_state(self) -> ResourceState:
        """Return the state as the provider takes it. Its schema version must be the provider's."""
        return ResourceState(json.loads(self.attributes), self.private)


def stored_state_of(outputs: Mapping[str, Any]) -> StoredState | None:
    """Return the state in a resource's outputs, or None if the bridge has not created or imported the resource."""
    text = unwrap(outputs.get(META_KEY))
    return StoredState.parse(text) if text else None


def state_from_properties(mapping: TypeMapping, outputs: Mapping[str, Any], resource_id: str) -> ResourceState:
    """Return a state for outputs without `__meta`: the properties themselves."""
    attributes = to_terraform(mapping.block, unwrap(outputs))
    if "id" in attributes:
        attributes["id"] = resource_id
    return ResourceState(attributes)


def to_outputs(
    mapping: TypeMapping, attributes: Mapping[str, Any], inputs: Mapping[str, Any], region: str | None
) -> dict[str, Any]:
    """Return a resource's outputs without `__meta`, as for a preview or a data source.

    An output is secret if Terraform's schema, pulumi_aws or an input of the same name says so.
    """
    outputs = from_terraform(mapping.block, attributes)
    if mapping.has_region and region:
        outputs.setdefault("region", region)
    for key in secret_outputs(mapping, outputs, inputs):
        outputs[key] = as_secret(outputs[key])
    return outputs


def to_stored_outputs(
    mapping: TypeMapping, state: ResourceState, inputs: Mapping[str, Any], region: str | None
) -> dict[str, Any]:
    """Return a resource's outputs with `__meta`, which is secret if one of them is."""
    outputs = to_outputs(mapping, state.attributes, inputs, region)
    attributes = json.dumps(state.attributes, default=lambda _: PULUMI_UNKNOWN)
    text = StoredState(attributes, state.private, mapping.schema_version).to_json()
    outputs[META_KEY] = as_secret(text) if secret_outputs(mapping, outputs, inputs) else text
    return outputs


def secret_outputs(mapping: TypeMapping, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> set[str]:
    """Return the names of the outputs that are secret."""
    sensitive = {mapping.block.pulumi_name(name) for name in mapping.sensitive} | mapping.secrets
    secret_inputs = {key for key, value in inputs.items() if has_secret(value)}
    return {key for key in outputs if key in sensitive or key in secret_inputs}
