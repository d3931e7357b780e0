"""One resource, and the operations of Terraform's provider on it.

States and property values are JSON-like and have no fixed type, hence `Any`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2

from sandbox.bridge import terraform
from sandbox.bridge.bridge_error import BridgeError
from sandbox.bridge.diagnostics import errors_in, require_success, show_warnings
from sandbox.bridge.engine_warnings import EngineWarnings
from sandbox.bridge.planning import is_unchanged, propose_state
from sandbox.bridge.pulumi_values import to_struct
from sandbox.bridge.stored_state import state_from_properties, stored_state_of, to_outputs, to_stored_outputs
from sandbox.bridge.terraform import ResourceState, TerraformProvider
from sandbox.bridge.type_mapping import TypeMapping

TIMEOUTS_KEY = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"  # where Terraform's SDK keeps timeouts in the private data
NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class Plan:
    """A planned change.

    Attributes:
        attributes: The planned attributes.
        state: The same as the provider encoded them.
        private: The provider's own data for the apply.
        replacing_attributes: The attributes whose changes require a replacement.
    """

    attributes: Any
    state: Any
    private: bytes
    replacing_attributes: list[str]


@dataclass(frozen=True)
class Resource:
    """One resource.

    Attributes:
        urn: Its URN.
        mapping: How its type maps to Terraform.
        provider: Terraform's provider.
        warnings: Where the provider's warnings go.
        region: The provider's region.
    """

    urn: str
    mapping: TypeMapping
    provider: TerraformProvider
    warnings: EngineWarnings
    region: str | None

    def prior_state(self, outputs: Mapping[str, Any], resource_id: str) -> ResourceState:
        """Return Terraform's state from the resource's outputs. The state of an older provider is upgraded."""
        stored = stored_state_of(outputs)
        if stored is None:
            return state_from_properties(self.mapping, outputs, resource_id)
        if stored.schema_version == self.mapping.schema_version:
            return stored.to_resource_state()
        reply = self.provider.upgrade_state(self.mapping.terraform_type, stored.schema_version, stored.attributes)
        require_success(reply.diagnostics, self.warnings)
        return ResourceState(terraform.decode(reply.upgraded_state), stored.private)

    def plan(self, prior: ResourceState | None, config: Mapping[str, Any]) -> Plan:
        """Plan a change. prior: None to create the resource."""
        proposed = propose_state(self.mapping.block, prior.attributes if prior else None, config)
        reply = self.provider.plan(self.mapping.terraform_type, prior, proposed, config)
        require_success(reply.diagnostics, self.warnings, self.urn)
        replacing = [path.steps[0].attribute_name for path in reply.requires_replace]
        return Plan(terraform.decode(reply.planned_state), reply.planned_state, reply.planned_private, replacing)

    def changes_nothing(self, plan: Plan, prior: ResourceState) -> bool:
        """Tell whether a plan leaves the resource as it is."""
        return is_unchanged(self.mapping.block, prior.attributes, plan.attributes)

    def apply(
        self, prior: ResourceState | None, plan: Plan, config: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> ResourceState:
        """Apply a plan and return the new state.

        If the apply fails but the resource exists, the error carries its state, so that the engine keeps the partially
        created resource.
        """
        reply = self.provider.apply(self.mapping.terraform_type, prior, plan.state, config, plan.private)
        attributes, errors = terraform.decode(reply.new_state), errors_in(reply.diagnostics)
        show_warnings(reply.diagnostics, self.warnings, self.urn)
        if not errors:
            return ResourceState(dict(attributes), reply.private)
        if attributes is None or not self.mapping.resource_id(attributes):
            raise BridgeError("\n".join(errors))
        partial_creation = provider_pb2.ErrorResourceInitFailed(
            id=self.mapping.resource_id(attributes),
            properties=to_struct(self.outputs(ResourceState(attributes, reply.private), inputs)),
            reasons=errors,
            inputs=to_struct(inputs),
        )
        raise BridgeError(errors[0], details=partial_creation)

    def delete(self, state: ResourceState, timeout_seconds: float) -> None:
        """Delete the resource. Terraform's protocol has no place for the timeout except the private data."""
        private = state.private
        if self.mapping.timeouts("delete", timeout_seconds):
            private_data = json.loads(private or b"{}")
            private_data.setdefault(TIMEOUTS_KEY, {})["delete"] = int(timeout_seconds * NANOSECONDS_PER_SECOND)
            private = json.dumps(private_data).encode()
        reply = self.provider.apply(self.mapping.terraform_type, state, terraform.encode(None), None, private)
        require_success(reply.diagnostics, self.warnings, self.urn)

    def read(self, state: ResourceState) -> ResourceState | None:
        """Return the resource's state as it is in AWS, or None if the resource does not exist."""
        reply = self.provider.read(self.mapping.terraform_type, state)
        require_success(reply.diagnostics, self.warnings, self.urn)
        attributes = terraform.decode(reply.new_state)
        return None if attributes is None else ResourceState(attributes, reply.private)

    def read_existing(self, state: ResourceState) -> ResourceState:
        """Return the resource's state as it is in AWS. BridgeError if the resource does not exist."""
        current = self.read(state)
        if current is None:
            stack = self.urn.split(":")[2]
            raise BridgeError(
                f"{self.urn} is in Pulumi's state but does not exist in AWS.\n"
                "Remove it from the state, then run the same command again:\n"
                f"  ./infra pulumi refresh --stack {stack} --yes",
                grpc.StatusCode.NOT_FOUND,
            )
        return current

    def find(self, resource_id: str) -> ResourceState | None:
        """Return the incomplete state of an existing resource, which must then be read; None if there is no such ID."""
        reply = self.provider.import_resource(self.mapping.terraform_type, resource_id)
        require_success(reply.diagnostics, self.warnings, self.urn)
        for resource in reply.imported_resources:
            if resource.type_name == self.mapping.terraform_type:
                return ResourceState(terraform.decode(resource.state), resource.private)
        return None

    def outputs(self, state: ResourceState, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the resource's outputs, in which its state is stored."""
        return to_stored_outputs(self.mapping, state, inputs, self.region)

    def planned_outputs(self, plan: Plan, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs that a plan will lead to, as far as they are known."""
        return to_outputs(self.mapping, plan.attributes, inputs, self.region)
