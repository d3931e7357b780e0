"""The answer to the engine's Diff: how a planned state differs from the prior one.

States and property values are JSON-like and have no fixed type, hence `Any`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2

from sandbox.bridge.conversion import from_terraform
from sandbox.bridge.planning import normalize_block
from sandbox.bridge.property_paths import Change, differing_paths, first_step
from sandbox.bridge.terraform import UNKNOWN
from sandbox.bridge.type_mapping import TypeMapping

PropertyDiff = provider_pb2.PropertyDiff
# Change -> its kind, and its kind if it replaces the resource.
KINDS: dict[Change, tuple[Any, Any]] = {
    "add": (PropertyDiff.ADD, PropertyDiff.ADD_REPLACE),
    "delete": (PropertyDiff.DELETE, PropertyDiff.DELETE_REPLACE),
    "update": (PropertyDiff.UPDATE, PropertyDiff.UPDATE_REPLACE),
}


def no_difference() -> Any:
    """Return the answer that nothing changes."""
    return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)


def difference(
    mapping: TypeMapping,
    prior: Mapping[str, Any],
    planned: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    replacing_attributes: Iterable[str],
) -> Any:
    """Return the answer for a resource.

    prior, planned: its states. config: its new configuration as Terraform has it. inputs: the same as Pulumi has it.
    replacing_attributes: those whose changes require a replacement.
    """
    if planned == prior:  # for most resources, this spares the slower comparison below
        return no_difference()
    before, after = normalize_block(mapping.block, prior), normalize_block(mapping.block, planned)
    changed = [name for name in after if name != "timeouts" and before.get(name) != after[name]]
    if not changed:
        return no_difference()
    replacing = {name for name in replacing_attributes if name in changed}
    reported = reported_attributes(mapping, changed, planned, config)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        diffs=[property_name(mapping, name) for name in reported],
        replaces=[property_name(mapping, name) for name in replacing],
        detailedDiff=detailed_difference(mapping, prior, planned, reported, replacing),
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replacing) and mapping.keeps_fixed_name(inputs, changed),
    )


def reported_attributes(
    mapping: TypeMapping, changed: list[str], planned: Mapping[str, Any], config: Mapping[str, Any]
) -> list[str]:
    """Return the changed attributes that the program changes, or all of them if there are none.

    Not among them are those that a program cannot set, and those that it does not set and that are only known after the
    update. `tags_all` follows from the tags and from the provider's default tags.
    """

    def is_consequence(name: str) -> bool:
        is_computed = planned[name] == UNKNOWN and config.get(name) is None
        return mapping.block.is_read_only(name) or name == "tags_all" or is_computed

    return [name for name in changed if not is_consequence(name)] or changed


def property_name(mapping: TypeMapping, attribute: str) -> str:
    """Return Pulumi's name of an attribute, or Terraform's if Pulumi does not have it."""
    return mapping.block.pulumi_name(attribute) or attribute


def detailed_difference(
    mapping: TypeMapping,
    prior: Mapping[str, Any],
    planned: Mapping[str, Any],
    reported: list[str],
    replacing: set[str],
) -> dict[str, Any]:
    """Return the kind of change of each property path, or of each attribute if Pulumi's values do not differ."""
    old = from_terraform(mapping.block, {name: prior.get(name) for name in reported})
    new = from_terraform(mapping.block, {name: planned[name] for name in reported})
    by_path = {
        path: PropertyDiff(kind=KINDS[change][mapping.block.by_pulumi_name.get(first_step(path)) in replacing])
        for path, change in differing_paths(old, new)
    }
    return by_path or {
        property_name(mapping, name): PropertyDiff(kind=KINDS["update"][name in replacing]) for name in reported
    }
