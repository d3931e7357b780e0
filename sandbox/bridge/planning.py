"""What Terraform's core does between a configuration and a provider: propose a new state, and compare states.

Values are JSON-like and have no fixed type, hence `Any`.
"""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.bridge.blocks import Block, Nesting
from sandbox.bridge.terraform import UNKNOWN

UNKNOWN_MARKER = "?unknown"  # JSON, by which values are sorted, cannot encode UNKNOWN


def propose_state(block: Block, prior: Any, config: Any) -> Any:
    """Return the proposed new state: the configuration, and the prior state's computed values that it does not set."""
    if config == UNKNOWN:
        return UNKNOWN
    prior = prior or {}
    state: dict[str, Any] = {}
    for name, (_, schema) in block.attributes.items():
        state[name] = prior.get(name) if config[name] is None and schema.computed else config[name]
    for name, (schema, nested) in block.blocks.items():
        state[name] = propose_nested_blocks(schema.nesting, nested, prior.get(name), config[name])
    return state


def propose_nested_blocks(nesting: int, block: Block, prior: Any, config: Any) -> Any:
    """Return the proposed state of all nested blocks of one name."""
    if config is None or config == UNKNOWN:
        return config
    if isinstance(config, dict):
        return propose_state(block, prior, config)
    if nesting == Nesting.LIST:
        return [
            propose_state(block, prior[index] if prior and index < len(prior) else None, item)
            for index, item in enumerate(config)
        ]
    unmatched, items = list(prior or []), []
    for item in config:
        match = next((candidate for candidate in unmatched if is_same_element(block, item, candidate)), None)
        if match is not None:
            unmatched.remove(match)
        items.append(propose_state(block, match, item))
    return items


def is_same_element(block: Block, config: Any, prior: Mapping[str, Any]) -> bool:
    """Tell whether an element of a set is the same as a prior one, except for computed values."""
    if config == UNKNOWN:
        return False
    for name, (_, schema) in block.attributes.items():
        if config[name] is None and schema.computed:
            continue
        if (config[name] or None) != (prior.get(name) or None):
            return False
    return all(len(config[name] or []) == len(prior.get(name) or []) for name in block.blocks)


def sort_key(value: Any) -> str:
    """Return a string by which values of different types can be sorted."""
    return json.dumps(value, sort_keys=True)


def normalize(value: Any, kind: Any = None) -> Any:
    """Return an attribute's value in a form in which equal values are equal: the elements of sets are sorted."""
    if value == UNKNOWN:
        return UNKNOWN_MARKER
    if isinstance(value, list):
        items = [normalize(item, kind[1] if isinstance(kind, list) else None) for item in value]
        return sorted(items, key=sort_key) if isinstance(kind, list) and kind[0] == "set" else items
    if isinstance(value, dict):
        if not isinstance(kind, list):
            return {key: normalize(item) for key, item in value.items()}
        return {key: normalize(item, kind[1][key] if kind[0] == "object" else kind[1]) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def normalize_block(block: Block, value: Any) -> Any:
    """Return a block's value in a form in which equal values are equal."""
    if not isinstance(value, dict):
        return normalize(value)
    result = {name: normalize(value.get(name), kind) for name, (kind, _) in block.attributes.items()}
    for name, (schema, nested) in block.blocks.items():
        result[name] = normalize_nested_blocks(schema.nesting, nested, value.get(name))
    return result


def normalize_nested_blocks(nesting: int, block: Block, value: Any) -> Any:
    """Return the value of all nested blocks of one name in a form in which equal values are equal."""
    if isinstance(value, list):
        items = [normalize_block(block, item) for item in value]
        return sorted(items, key=sort_key) if nesting == Nesting.SET else items
    if isinstance(value, dict):
        return normalize_block(block, value)
    return normalize(value) if value == UNKNOWN else value


def is_unchanged(block: Block, prior: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    """Tell whether a plan changes nothing except timeouts, which Terraform keeps in the state but not in AWS."""
    return bool(
        normalize_block(block, {**prior, "timeouts": None}) == normalize_block(block, {**planned, "timeouts": None})
    )
