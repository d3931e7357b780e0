"""Pulumi property maps <-> Terraform objects, guided by Terraform's schema and the table of names.

Values are JSON-like and of no fixed type, hence `Any`.
"""

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.bridge.terraform import UNKNOWN, pb
from sandbox.paths import user_cache, write_private

# The marks of Pulumi's property protocol (sdk/go/common/resource/plugin/rpc.go and .../properties.go).
PULUMI_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
Nesting = pb.Schema.NestedBlock


class UnmappableError(Exception):
    """A value that has no counterpart on the other side."""


@functools.cache
def camel(name: str) -> str:
    """Return a Terraform name in Pulumi's spelling: `max_size` becomes `maxSize`."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


class Fields:
    """The members of a block or object type: what Terraform calls each, what Pulumi calls it, and what it holds.

    A spec is {terraform name: [pulumi name, flat, inner spec or None]}; flat means that Pulumi has the element itself where
    Terraform has a list of at most one.
    """

    def __init__(self, spec: dict[str, Any] | None) -> None:
        """Index a spec by Pulumi's names."""
        self.spec = spec or {}
        self.by_pulumi_name = {member[0]: name for name, member in self.spec.items()}

    def pulumi_name(self, name: str) -> str | None:
        """Return what Pulumi calls a member, or None where it has none."""
        return self.spec[name][0] if name in self.spec else None

    def flat(self, name: str) -> bool:
        """Tell whether Pulumi flattened the member."""
        return name in self.spec and bool(self.spec[name][1])

    def inner(self, name: str) -> dict[str, Any] | None:
        """Return the spec inside a member."""
        return self.spec[name][2] if name in self.spec else None


class Block(Fields):
    """A Terraform block's schema under Pulumi's names."""

    def __init__(self, schema: Any, spec: dict[str, Any] | None) -> None:
        """Join a schema message with the spec of its names."""
        super().__init__(spec)
        self.attributes = {a.name: (json.loads(a.type), a) for a in schema.attributes}
        self.blocks = {b.type_name: (b, Block(b.block, self.inner(b.type_name))) for b in schema.block_types}

    def computed_only(self, name: str) -> bool:
        """Tell whether a program cannot set the member."""
        return name in self.attributes and self.attributes[name][1].computed and not self.attributes[name][1].optional


# --- Pulumi's wrappers


def plain(value: Any) -> Any:
    """Return a value without secret and output wrappers, whole numbers as integers, assets as paths."""
    if isinstance(value, dict):
        mark = value.get(SIGNATURE)
        if mark is None:
            return {key: plain(inner) for key, inner in value.items()}
        if mark in {ASSET, ARCHIVE}:
            return asset_path(value)
        return plain(value.get("value", None if mark == SECRET else PULUMI_UNKNOWN))
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def asset_path(value: dict[str, Any]) -> str:
    """Return the file of an asset or archive; a text asset is written to the user cache, under its digest."""
    if value.get("path"):
        return str(value["path"])
    if "text" in value:
        text = str(value["text"])
        target: Path = user_cache() / "assets" / hashlib.sha256(text.encode()).hexdigest()
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_private(target, text)
        return os.fspath(target)
    message = "an asset that is neither a file nor a text has no counterpart in Terraform: write it to a file and use FileAsset or FileArchive"
    raise UnmappableError(message)


def has_secret(value: Any) -> bool:
    """Tell whether a secret is anywhere inside."""
    if isinstance(value, dict):
        return value.get(SIGNATURE) == SECRET or any(has_secret(inner) for inner in value.values())
    return isinstance(value, list) and any(has_secret(inner) for inner in value)


def secret(value: Any) -> Any:
    """Mark a value as secret."""
    return {SIGNATURE: SECRET, "value": value}


# --- to Terraform


def scalar(value: Any, kind: str) -> Any:
    """Return a scalar of Terraform's type, from what a Pulumi program may give for it."""
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return json.dumps(value) if isinstance(value, dict | list) else str(value)
    if kind == "number":
        return float(value) if "." in str(value) else int(value)
    if kind == "bool":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    return value


def to_type(value: Any, kind: Any, spec: dict[str, Any] | None = None, *, flat: bool = False) -> Any:
    """Return an attribute's value in Terraform's shape."""
    if value is None:
        return None
    if value == PULUMI_UNKNOWN:
        return UNKNOWN
    if isinstance(kind, str):
        return scalar(value, kind)
    shape, element = kind[0], kind[1]
    if shape in {"list", "set"}:
        return [to_type(inner, element, spec) for inner in (value if isinstance(value, list) and not flat else [value])]
    if shape == "map":
        return {key: to_type(inner, element) for key, inner in value.items()}
    fields, out = Fields(spec), dict.fromkeys(element)
    for key, inner in value.items():
        name = fields.by_pulumi_name.get(key) or next((field for field in element if key in {field, camel(field)}), None)
        if name:
            out[name] = to_type(inner, element[name], fields.inner(name), flat=fields.flat(name))
    return out


def empty_block(nesting: int) -> Any:
    """Return what Terraform has for a block that the program leaves out."""
    if nesting in {Nesting.SINGLE, Nesting.GROUP}:
        return None
    return {} if nesting == Nesting.MAP else []


def to_terraform(block: Block, properties: dict[str, Any], unmapped: list[str], path: str = "") -> dict[str, Any]:
    """Return plain properties as a Terraform object; names without a counterpart are added to `unmapped`."""
    out: dict[str, Any] = dict.fromkeys(block.attributes)
    for name, (schema, _) in block.blocks.items():
        out[name] = empty_block(schema.nesting)
    for key, value in properties.items():
        if key.startswith("__") or value is None:
            continue
        name = block.by_pulumi_name.get(key)
        if name is None:
            unmapped.append(path + key)
        elif name in block.attributes:
            out[name] = to_type(value, block.attributes[name][0], block.inner(name), flat=block.flat(name))
        elif value == PULUMI_UNKNOWN:
            out[name] = UNKNOWN
        else:
            schema, inner = block.blocks[name]
            given = value if isinstance(value, list) else [value]
            items = [UNKNOWN if item == PULUMI_UNKNOWN else to_terraform(inner, item or {}, unmapped, f"{path}{key}.") for item in given]
            out[name] = items[0] if schema.nesting in {Nesting.SINGLE, Nesting.GROUP} else items
    return out


# --- from Terraform


def from_type(value: Any, kind: Any, spec: dict[str, Any] | None = None, *, flat: bool = False) -> Any:
    """Return an attribute's value in Pulumi's shape."""
    if value == UNKNOWN:
        return PULUMI_UNKNOWN
    if value is None or isinstance(kind, str):
        return value
    shape, element = kind[0], kind[1]
    if shape in {"list", "set"}:
        items = [from_type(inner, element, spec) for inner in value]
        return (items[0] if items else None) if flat else items
    if shape == "map":
        return {key: from_type(inner, element) for key, inner in value.items()}
    fields = Fields(spec)
    return {
        fields.pulumi_name(name) or camel(name): from_type(inner, element[name], fields.inner(name), flat=fields.flat(name)) for name, inner in value.items() if inner is not None
    }


def from_terraform(block: Block, value: dict[str, Any]) -> dict[str, Any]:
    """Return a Terraform object as plain Pulumi properties."""
    out: dict[str, Any] = {}
    for name, inner in value.items():
        key = block.pulumi_name(name)
        if inner is None or key is None:
            continue
        if name in block.attributes:
            item = from_type(inner, block.attributes[name][0], block.inner(name), flat=block.flat(name))
        elif inner == UNKNOWN:
            item = PULUMI_UNKNOWN
        elif isinstance(inner, dict):
            item = from_terraform(block.blocks[name][1], inner)
        else:
            items = [PULUMI_UNKNOWN if element == UNKNOWN else from_terraform(block.blocks[name][1], element) for element in inner]
            item = (items[0] if items else None) if block.flat(name) else (items or None)
        if item is not None:
            out[key] = item
    return out


# --- what Terraform's core does between a program and a provider


def proposed(block: Block, prior: Any, config: Any) -> Any:
    """Return the proposed new state: the configuration, with computed values that it leaves out kept from the prior state."""
    if config == UNKNOWN:
        return UNKNOWN
    prior = prior or {}
    out: dict[str, Any] = {}
    for name, (_, schema) in block.attributes.items():
        out[name] = prior.get(name) if config[name] is None and schema.computed else config[name]
    for name, (schema, inner) in block.blocks.items():
        out[name] = proposed_block(schema.nesting, inner, prior.get(name), config[name])
    return out


def proposed_block(nesting: int, inner: Block, prior: Any, config: Any) -> Any:
    """Return the proposed value of one nested block, or of all blocks of one name."""
    if config is None or config == UNKNOWN:
        return config
    if isinstance(config, dict):
        return proposed(inner, prior, config)
    if nesting == Nesting.LIST:
        return [proposed(inner, prior[index] if prior and index < len(prior) else None, item) for index, item in enumerate(config)]
    left, items = list(prior or []), []
    for item in config:
        match = next((candidate for candidate in left if is_same_element(inner, item, candidate)), None)
        if match is not None:
            left.remove(match)
        items.append(proposed(inner, match, item))
    return items


def is_same_element(block: Block, config: Any, prior: Any) -> bool:
    """Tell whether an element of a set is the prior one, computed values aside."""
    if config == UNKNOWN:
        return False
    for name, (_, schema) in block.attributes.items():
        if config[name] is None and schema.computed:
            continue
        if (config[name] or None) != (prior.get(name) or None):
            return False
    return all(len(config[name] or []) == len(prior.get(name) or []) for name in block.blocks)


def as_sort_key(value: Any) -> str:
    """Return a text by which values of any kind can be ordered."""
    return json.dumps(value, sort_keys=True)


def comparable(value: Any, kind: Any = None) -> Any:
    """Return a form in which equal Terraform values are equal: sets without order."""
    if value == UNKNOWN:
        return "?unknown"
    if isinstance(value, list):
        items = [comparable(inner, kind[1] if isinstance(kind, list) else None) for inner in value]
        return sorted(items, key=as_sort_key) if isinstance(kind, list) and kind[0] == "set" else items
    if isinstance(value, dict):
        if not isinstance(kind, list):
            return {key: comparable(inner) for key, inner in value.items()}
        return {key: comparable(inner, kind[1][key] if kind[0] == "object" else kind[1]) for key, inner in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def comparable_block(block: Block, value: Any) -> Any:
    """Return a block's value in a form in which equal ones are equal."""
    if not isinstance(value, dict):
        return comparable(value)
    out = {name: comparable(value.get(name), kind) for name, (kind, _) in block.attributes.items()}
    for name, (schema, inner) in block.blocks.items():
        held = value.get(name)
        if isinstance(held, list):
            held = [comparable_block(inner, item) for item in held]
            if schema.nesting == Nesting.SET:
                held.sort(key=as_sort_key)
        elif isinstance(held, dict):
            held = comparable_block(inner, held)
        out[name] = comparable(held) if held == UNKNOWN else held
    return out


# --- property paths


def differing_paths(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the property paths that differ, each with `add`, `delete` or `update`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            step = (f"{at}.{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f'{at}["{key}"]').lstrip(".")
            if key not in old:
                yield step, "add"
            elif key not in new:
                yield step, "delete"
            else:
                yield from differing_paths(old[key], new[key], step)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(old):
                yield f"{at}[{index}]", "add"
            elif index >= len(new):
                yield f"{at}[{index}]", "delete"
            else:
                yield from differing_paths(old[index], new[index], f"{at}[{index}]")
    elif old != new:
        yield at, "update"


def parse_path(path: str) -> list[str | int]:
    """Return the steps of a property path: `tags["a.b"]`, `rules[0].port` and `rules[*].port`."""
    steps: list[str | int] = []
    for name, index, quoted in re.findall(r'([^.\[\]"]+)(?=[.\[]|$)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]', path):
        steps.append(name or (int(index) if index.isdigit() else index) or quoted)
    return steps


def with_ignored(inputs: Any, prior: Any, steps: Sequence[str | int]) -> Any:
    """Return the inputs with what one path names put back to what it was."""
    if not steps:
        return prior
    step, rest = steps[0], steps[1:]
    if isinstance(inputs, list) and isinstance(prior, list):
        wanted = range(min(len(inputs), len(prior))) if step == "*" else [step]
        return [with_ignored(item, prior[index], rest) if index in wanted and index < len(prior) else item for index, item in enumerate(inputs)]
    if not isinstance(prior, dict | type(None)) or not isinstance(inputs, dict | type(None)):
        return inputs
    inputs, prior = dict(inputs or {}), prior or {}
    for key in sorted({*inputs, *prior}) if step == "*" else [str(step)]:
        if key in prior:
            inputs[key] = with_ignored(inputs.get(key), prior[key], rest)
        elif not rest:
            inputs.pop(key, None)
    return inputs
