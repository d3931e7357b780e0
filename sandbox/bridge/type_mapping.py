"""How one resource type or data source of pulumi_aws maps to Terraform's.

States and property values are JSON-like and have no fixed type, hence `Any`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.bridge import automatic_names, gaps, name_table
from sandbox.bridge.blocks import Block
from sandbox.bridge.conversion import from_terraform, to_terraform
from sandbox.bridge.property_paths import parse_path, restore
from sandbox.bridge.pulumi_values import unwrap

EMPTY_VALUES: tuple[Any, ...] = ("", [], {}, False, 0)


def type_token(urn: str) -> str:
    """Return the type token of a URN's own resource, without its parents'."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


class TypeMapping:
    """One resource type or data source: Terraform's schema with Pulumi's names.

    Attributes:
        terraform_type: Terraform's name of the type.
        schema_version: The version of Terraform's schema.
        block: The schema with Pulumi's names.
        has_region: Whether pulumi_aws has an output `region`, which Terraform's provider 5 does not have.
        secrets: Outputs that pulumi_aws declares secret, in Pulumi's spelling.
        sensitive: Attributes and nested blocks that Terraform declares sensitive, in Terraform's spelling.
        unsupported: Arguments that the emulator does not support, with the reason; see gaps.py.
        named_attribute: The attribute that gets an automatic name, in Terraform's spelling; None if there is none.
        named_property: The same in Pulumi's spelling.
    """

    def __init__(self, entry: bytes) -> None:
        """Read an entry of the table of names."""
        names, schema = name_table.read_entry(entry)
        self.terraform_type: str = names["type"]
        self.schema_version: int = schema.version
        self.block = Block(schema.block, names["spec"])
        self.has_region = bool(names["region"])
        self.secrets = set(names["secrets"])
        self.sensitive = {attribute.name for attribute in schema.block.attributes if attribute.sensitive} | {
            nested.type_name
            for nested in schema.block.block_types
            if any(attribute.sensitive for attribute in nested.block.attributes)
        }
        self.unsupported: Mapping[str, str] = gaps.UNSUPPORTED_ARGUMENTS.get(self.terraform_type, {})
        self.named_attribute = automatic_names.named_attribute(self.terraform_type, self.block, names["required"])
        self.named_property = self.block.pulumi_name(self.named_attribute) if self.named_attribute else None

    @property
    def region_is_argument(self) -> bool:
        """Whether Terraform's type has an argument `region`."""
        return "region" in self.block.by_pulumi_name

    def to_config(self, inputs: Mapping[str, Any], timeouts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return unwrapped inputs as Terraform's configuration, without what the sandbox does not pass on."""
        supported = {
            key: value
            for key, value in inputs.items()
            if (key != "region" or self.region_is_argument) and key not in self.unsupported
        }
        config = to_terraform(self.block, supported)
        if timeouts and "timeouts" in config:
            config["timeouts"] = timeouts
        return config

    def timeouts(self, operation: str, seconds: float) -> dict[str, Any] | None:
        """Return the value of the block `timeouts`, or None if no timeout is set or the operation cannot have one."""
        nested = self.block.blocks.get("timeouts")
        if not seconds or not nested or operation not in nested.block.attributes:
            return None
        return {**dict.fromkeys(nested.block.attributes), operation: f"{int(seconds)}s"}

    def resource_id(self, attributes: Mapping[str, Any]) -> str:
        """Return a resource's ID. The 81 types without one use their ARN, or else their required arguments."""
        if attributes.get("id"):
            return str(attributes["id"])
        if attributes.get("arn"):
            return str(attributes["arn"])
        return ",".join(
            str(attributes[name])
            for name, (_, schema) in self.block.attributes.items()
            if schema.required and isinstance(attributes[name], str | int)
        )

    def restore_ignored(
        self, inputs: Mapping[str, Any], prior: Mapping[str, Any], ignore_changes: Sequence[str]
    ) -> dict[str, Any]:
        """Return unwrapped inputs with the prior values of what the resource option `ignoreChanges` lists."""
        restored: dict[str, Any] = unwrap(inputs)
        if not ignore_changes:
            return restored
        prior_properties = from_terraform(self.block, prior)
        for path in ignore_changes:
            steps = parse_path(path)
            name = self.block.by_pulumi_name.get(str(steps[0])) if steps else None
            if name and not self.block.is_read_only(name):
                restored = restore(restored, prior_properties, steps)
        return restored

    def keeps_fixed_name(self, inputs: Mapping[str, Any], changed_attributes: list[str]) -> bool:
        """Tell whether the program sets the physical name and does not change it.

        A replacement then has the same name, so the old resource must be deleted first.
        """
        key = self.named_property
        return (
            bool(key)
            and key not in (inputs.get("__defaults") or [])
            and not inputs.get(f"{key}Prefix")
            and self.named_attribute not in changed_attributes
        )

    def imported_inputs(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs with which a program would describe an imported resource."""
        inputs: dict[str, Any] = {"__defaults": []}
        for key, value in outputs.items():
            name = self.block.by_pulumi_name.get(key)
            if name is None or name in {"id", "tags_all", "timeouts"} or self.block.is_read_only(name):
                continue
            if unwrap(value) not in EMPTY_VALUES:
                inputs[key] = value
        return inputs
