"""Writes a stack that the bridge made as Terraform's own files, so that the bridge can be held against `terraform`.

Used by the tests and benchmarks: what terraform plans for the same resources, state and provider is the oracle.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox.bridge import table
from sandbox.bridge.provider import Kind, type_token
from sandbox.bridge.values import SECRET, SIGNATURE, Block, plain, to_terraform

PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'
LEVELS_ABOVE_BINARY = 5  # <mirror>/registry.terraform.io/hashicorp/aws/<version>/<platform>/<binary>


def shown(value: Any) -> Any:
    """Return a value of `stack export --show-secrets`, whose secrets hold their JSON text, as the bridge's wrappers do."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return json.loads(value["plaintext"])
        return {key: shown(inner) for key, inner in value.items()}
    return [shown(inner) for inner in value] if isinstance(value, list) else value


def escaped(value: Any) -> Any:
    """Return a value in which Terraform's JSON finds no template."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return {key: escaped(item) for key, item in value.items()} if isinstance(value, dict) else value


def body_of(block: Block, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource's body: what is set, and no empty blocks."""
    out = {name: config[name] for name in block.attributes if config.get(name) is not None}
    for name, (_, inner) in block.blocks.items():
        given = config.get(name)
        if isinstance(given, dict):
            out[name] = body_of(inner, given)
        elif given:
            out[name] = [body_of(inner, item) for item in given]
    return out


def sensitive_paths(kind: Kind, attributes: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the paths that terraform marks as sensitive, as it keeps them in its state: by the schema, at the top and in blocks."""
    paths = [[{"type": "get_attr", "value": name}] for name, (_, schema) in kind.block.attributes.items() if schema.sensitive]
    for name, (_, inner) in kind.block.blocks.items():
        hidden = [member for member, (_, schema) in inner.attributes.items() if schema.sensitive]
        for index in range(len(attributes.get(name) or [])):
            start: list[dict[str, Any]] = [{"type": "get_attr", "value": name}, {"type": "index", "value": {"value": index, "type": "number"}}]
            paths += [[*start, {"type": "get_attr", "value": member}] for member in hidden]
    return paths


def label(urn: str) -> str:
    """Return a Terraform name for a resource."""
    return re.sub(r"\W", "_", urn.rsplit("::", 1)[-1])


def write(folder: Path, binary: Path, resources: Iterable[Mapping[str, Any]], region: str) -> int:
    """Write main.tf.json for AWS resources, and terraform.tfstate for those that have a state (with its secrets shown); return the number in the state."""
    names = table.load(binary)
    kinds: dict[str, Kind] = {}
    bodies: dict[str, dict[str, Any]] = {}
    instances: list[dict[str, Any]] = []
    for resource in resources:
        token = type_token(resource["urn"])
        if not token.startswith("aws:"):
            continue
        kind = kinds.setdefault(token, Kind(names.resources[token]))
        inputs = {key: value for key, value in plain(shown(resource["inputs"])).items() if key != "region" or "region" in kind.block.by_pulumi_name}
        config = to_terraform(kind.block, inputs, [])
        bodies.setdefault(kind.terraform_type, {})[label(resource["urn"])] = escaped(body_of(kind.block, config))
        if "__meta" not in resource.get("outputs", {}):
            continue  # a mocked program has no state
        meta = json.loads(shown(resource["outputs"]["__meta"]))
        attributes = json.loads(meta["state"])
        instance = {"schema_version": meta["version"], "attributes": attributes, "sensitive_attributes": sensitive_paths(kind, attributes), "private": meta["private"]}
        instances.append({"mode": "managed", "type": kind.terraform_type, "name": label(resource["urn"]), "provider": PROVIDER, "instances": [instance]})
    settings = {"region": region, "skip_metadata_api_check": "true", "skip_region_validation": True, "s3_use_path_style": True}
    version = binary.parent.parent.name
    document = {
        "terraform": {"required_providers": {"aws": {"source": "registry.terraform.io/hashicorp/aws", "version": version}}},
        "provider": {"aws": settings},
        "resource": bodies,
    }
    (folder / "main.tf.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    state = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "as-terraform", "outputs": {}, "resources": instances}
    (folder / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")
    mirror = binary.parents[LEVELS_ABOVE_BINARY]
    (folder / "cli.tfrc").write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n', encoding="utf-8")
    return len(instances)


def run(folder: Path, arguments: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run terraform in a folder, with the sandbox's AWS."""
    terraform = shutil.which("terraform") or "terraform"
    variables = {**os.environ, **environment, "TF_CLI_CONFIG_FILE": str(folder / "cli.tfrc"), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    return subprocess.run([terraform, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False)
