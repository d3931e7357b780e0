"""Terraform's schema of a block, with Pulumi's name of each member.

Schema messages and types are JSON-like, hence `Any`.
"""

import functools
import json
from typing import Any, NamedTuple

from sandbox.bridge.terraform import pb

Nesting = pb.Schema.NestedBlock
# A Terraform name -> [Pulumi's name, whether Pulumi flattened it, the spec of its own members or None].
Spec = dict[str, Any]


@functools.cache
def camel_case(name: str) -> str:
    """Return a Terraform name in Pulumi's spelling: `max_size` becomes `maxSize`."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


class Fields:
    """The names of the members of a block or object type, in both directions."""

    def __init__(self, spec: Spec | None) -> None:
        """Index a spec by Pulumi's names."""
        self.spec = spec or {}
        self.by_pulumi_name = {member[0]: name for name, member in self.spec.items()}

    def pulumi_name(self, name: str) -> str | None:
        """Return Pulumi's name of a member, or None if Pulumi does not have it."""
        return self.spec[name][0] if name in self.spec else None

    def is_flattened(self, name: str) -> bool:
        """Tell whether Pulumi has the element itself where Terraform has a list of at most one element."""
        return name in self.spec and bool(self.spec[name][1])

    def inner_spec(self, name: str) -> Spec | None:
        """Return the spec of a member's own members, or None if it has none."""
        return self.spec[name][2] if name in self.spec else None


class Attribute(NamedTuple):
    """An attribute's type, such as `["list", "string"]`, and its schema message."""

    type: Any
    schema: Any


class NestedBlock(NamedTuple):
    """A nested block's schema message, which says how it nests, and the block itself."""

    schema: Any
    block: "Block"


class Block(Fields):
    """A block of Terraform's schema with Pulumi's names."""

    def __init__(self, schema: Any, spec: Spec | None) -> None:
        """Join a schema message with the spec of its names."""
        super().__init__(spec)
        self.attributes = {
            attribute.name: Attribute(json.loads(attribute.type), attribute) for attribute in schema.attributes
        }
        self.blocks = {
            nested.type_name: NestedBlock(nested, Block(nested.block, self.inner_spec(nested.type_name)))
            for nested in schema.block_types
        }

    def is_read_only(self, name: str) -> bool:
        """Tell whether only the provider can set the member."""
        if name not in self.attributes:
            return False
        schema = self.attributes[name].schema
        return bool(schema.computed and not schema.optional)
