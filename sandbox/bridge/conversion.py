"""Converts Pulumi's properties to Terraform's objects and back, along Terraform's schema.

Values are JSON-like and have no fixed type, hence `Any`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.bridge.blocks import Block, Fields, Nesting, Spec, camel_case
from sandbox.bridge.pulumi_values import LARGEST_INTEGER, PULUMI_UNKNOWN
from sandbox.bridge.terraform import UNKNOWN

# --- to Terraform


def to_scalar(value: Any, kind: str) -> Any:
    """Return a scalar of Terraform's type from any value that a Pulumi program may pass for it."""
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return json.dumps(value) if isinstance(value, dict | list) else str(value)
    if kind == "number":
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < LARGEST_INTEGER else number
    if kind == "bool":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    return value


def to_attribute(value: Any, kind: Any, spec: Spec | None = None, *, is_flattened: bool = False) -> Any:
    """Return an attribute's value in Terraform's form."""
    if value is None:
        return None
    if value == PULUMI_UNKNOWN:
        return UNKNOWN
    if isinstance(kind, str):
        return to_scalar(value, kind)
    shape, element = kind[0], kind[1]
    if shape in {"list", "set"}:
        items = value if isinstance(value, list) and not is_flattened else [value]
        return [to_attribute(item, element, spec) for item in items]
    if shape == "map":
        return {key: to_attribute(item, element) for key, item in value.items()}
    return to_object(value, element, Fields(spec))


def to_object(value: Mapping[str, Any], members: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Return a value of an object type in Terraform's form. members: the type of each of its members."""
    result: dict[str, Any] = dict.fromkeys(members)
    for key, item in value.items():
        spellings = (member for member in members if key in {member, camel_case(member)})
        name = fields.by_pulumi_name.get(key) or next(spellings, None)
        if name:
            result[name] = to_attribute(
                item, members[name], fields.inner_spec(name), is_flattened=fields.is_flattened(name)
            )
    return result


def no_blocks(nesting: int) -> Any:
    """Return the value of a nested block that the configuration does not have."""
    if nesting in {Nesting.SINGLE, Nesting.GROUP}:
        return None
    return {} if nesting == Nesting.MAP else []


def to_terraform(block: Block, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return unwrapped properties as a Terraform object. It leaves out what `unmapped_paths` returns."""
    result: dict[str, Any] = dict.fromkeys(block.attributes)
    for name, (schema, _) in block.blocks.items():
        result[name] = no_blocks(schema.nesting)
    for key, value in properties.items():
        name = block.by_pulumi_name.get(key)
        if is_unset_or_internal(key, value) or name is None:
            continue
        if name in block.attributes:
            result[name] = to_attribute(
                value, block.attributes[name].type, block.inner_spec(name), is_flattened=block.is_flattened(name)
            )
        else:
            result[name] = to_nested_block(*block.blocks[name], value)
    return result


def to_nested_block(schema: Any, block: Block, value: Any) -> Any:
    """Return all nested blocks of one name in Terraform's form."""
    if value == PULUMI_UNKNOWN:
        return UNKNOWN
    items = [UNKNOWN if item == PULUMI_UNKNOWN else to_terraform(block, item or {}) for item in as_list(value)]
    return items[0] if schema.nesting in {Nesting.SINGLE, Nesting.GROUP} else items


def unmapped_paths(block: Block, properties: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of the properties that Terraform does not have. path: where `properties` are, with a dot."""
    for key, value in properties.items():
        if is_unset_or_internal(key, value):
            continue
        name = block.by_pulumi_name.get(key)
        if name is None:
            yield path + key
        elif name in block.blocks and value != PULUMI_UNKNOWN:
            for item in as_list(value):
                if item != PULUMI_UNKNOWN:
                    yield from unmapped_paths(block.blocks[name].block, item or {}, f"{path}{key}.")


def is_unset_or_internal(key: str, value: Any) -> bool:
    """Tell whether a property is not set, or is Pulumi's own, such as `__defaults`."""
    return value is None or key.startswith("__")


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and any other value as the only element of one."""
    return value if isinstance(value, list) else [value]


# --- from Terraform


def from_attribute(value: Any, kind: Any, spec: Spec | None = None, *, is_flattened: bool = False) -> Any:
    """Return an attribute's value in Pulumi's form."""
    if value == UNKNOWN:
        return PULUMI_UNKNOWN
    if kind == "number" and isinstance(value, str):  # how the protocol encodes what binary fractions cannot express
        return float(value)
    if value is None or isinstance(kind, str):
        return value
    shape, element = kind[0], kind[1]
    if shape in {"list", "set"}:
        items = [from_attribute(item, element, spec) for item in value]
        return (items[0] if items else None) if is_flattened else items
    if shape == "map":
        return {key: from_attribute(item, element) for key, item in value.items()}
    fields = Fields(spec)
    return {
        fields.pulumi_name(name) or camel_case(name): from_attribute(
            item, element[name], fields.inner_spec(name), is_flattened=fields.is_flattened(name)
        )
        for name, item in value.items()
        if item is not None
    }


def from_terraform(block: Block, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Terraform object as unwrapped Pulumi properties."""
    properties: dict[str, Any] = {}
    for name, item in value.items():
        key = block.pulumi_name(name)
        if item is None or key is None:
            continue
        if name in block.attributes:
            converted = from_attribute(
                item, block.attributes[name].type, block.inner_spec(name), is_flattened=block.is_flattened(name)
            )
        else:
            converted = from_nested_block(block.blocks[name].block, item, is_flattened=block.is_flattened(name))
        if converted is not None:
            properties[key] = converted
    return properties


def from_nested_block(block: Block, value: Any, *, is_flattened: bool) -> Any:
    """Return all nested blocks of one name in Pulumi's form, or None if there are none."""
    if value == UNKNOWN:
        return PULUMI_UNKNOWN
    if isinstance(value, dict):
        return from_terraform(block, value)
    items = [PULUMI_UNKNOWN if item == UNKNOWN else from_terraform(block, item) for item in value]
    return (items[0] if items else None) if is_flattened else (items or None)
