"""Builds the table of names (see name_table.py) from pulumi_aws and from the schema of Terraform's AWS provider.

Entries of the table and Terraform's schema are JSON-like, hence `Any`.
"""

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files import write_atomically
from sandbox.bridge import sdk_scan
from sandbox.bridge.property_names import PropertyMatcher, members_of
from sandbox.bridge.terraform import TerraformProvider
from sandbox.bridge.type_pairs import pair

# Properties that need no counterpart, because the bridge or Pulumi's engine handles them.
UNCOUNTED_PULUMI_PROPERTIES = {"region", "id", "timeouts"}
UNCOUNTED_TERRAFORM_PROPERTIES = {"id", "timeouts"}


def build(binary: Path, file: Path) -> None:
    """Build the table and write it to a file, with the counts of what has no counterpart beside it."""
    provider = TerraformProvider(binary)
    try:
        schema = provider.schema()
    finally:
        provider.kill()
    names, counts = match_names(sdk_scan.scan_package(), schema)
    types = {"resources": schema.resource_schemas, "functions": schema.data_source_schemas}
    entries = {
        kind: {
            token: pickle.dumps((entry, types[kind][entry["type"]].SerializeToString()))
            for token, entry in names[kind].items()
        }
        for kind in types
    }
    content = (entries["resources"], entries["functions"], names["provider"], schema.provider.SerializeToString())
    write_atomically(file.with_name("counts.json"), json.dumps(counts, indent=1).encode())
    write_atomically(file, pickle.dumps(content))


def match_names(sdk: sdk_scan.Table, schema: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the names of all types and of the provider's own settings, and the counts of what matches."""
    matcher = PropertyMatcher(sdk["types"])
    names: dict[str, Any] = {"resources": {}, "functions": {}}
    counts: dict[str, Any] = {}
    for kind, types, prefix in (
        ("resources", schema.resource_schemas, ""),
        ("functions", schema.data_source_schemas, "data."),
    ):
        tokens = {token: entry for token, entry in sdk[kind].items() if token.startswith("aws:")}
        pairs = pair(tokens, types)
        counts[kind] = {"in_pulumi_aws": len(tokens), "mapped": len(pairs), "in_terraform": len(types)}
        for token, terraform_type in pairs.items():
            members, properties = members_of(types[terraform_type].block), properties_of(tokens[token])
            names[kind][token] = {
                "type": terraform_type,
                "spec": matcher.match(members, properties, prefix + terraform_type),
                "secrets": tokens[token].get("secrets", []),
                "required": required_properties(tokens[token]),
                "region": "region" in tokens[token]["out"],
            }
    settings = {key: kind for key, (_, kind) in sdk["resources"][sdk_scan.PROVIDER_TYPE]["in"].items()}
    names["provider"] = matcher.match(members_of(schema.provider.block), settings, "provider")
    return names, counts | counts_of_properties(matcher)


def properties_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a type, name -> type. An input takes precedence over the output of the same name."""
    return {key: kind for key, (_, kind) in {**entry["out"], **entry["in"]}.items()}


def required_properties(entry: Mapping[str, Any]) -> list[str]:
    """Return the wire names of the inputs that a program must set."""
    return [key for key, (python_name, _) in entry["in"].items() if python_name in entry.get("required", [])]


def counts_of_properties(matcher: PropertyMatcher) -> dict[str, Any]:
    """Return the counts of properties, without those that need no counterpart."""
    counts = asdict(matcher.counts)
    return counts | {
        "unmatched_pulumi": [
            row for row in counts["unmatched_pulumi"] if row[1].rsplit(".", 1)[-1] not in UNCOUNTED_PULUMI_PROPERTIES
        ],
        "unmatched_terraform": [
            row for row in counts["unmatched_terraform"] if row[1] not in UNCOUNTED_TERRAFORM_PROPERTIES
        ],
    }
