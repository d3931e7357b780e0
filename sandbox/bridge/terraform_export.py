"""Writes a stack that the bridge deployed as Terraform's files, to compare the bridge with `terraform`.

The tests check that terraform plans the same; the benchmarks compare the durations. Resources and schema messages are
JSON-like and have no fixed type, hence `Any`.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox.bridge import name_table
from sandbox.bridge.blocks import Block
from sandbox.bridge.pulumi_values import SECRET, SIGNATURE, unwrap
from sandbox.bridge.stored_state import stored_state_of
from sandbox.bridge.type_mapping import TypeMapping, type_token

PROVIDER_SOURCE = "registry.terraform.io/hashicorp/aws"
CONFIGURATION_FILE, STATE_FILE, CLI_CONFIGURATION_FILE = "main.tf.json", "terraform.tfstate", "cli.tfrc"
MIRROR_LEVEL = 5  # of the binary's parents: <mirror>/registry.terraform.io/hashicorp/aws/<version>/<platform>/<binary>


# --- values


def reveal(value: Any) -> Any:
    """Return a value from `pulumi stack export --show-secrets` without its secret wrappers, which contain JSON text."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return json.loads(value["plaintext"])
        return {key: reveal(item) for key, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


def escape_templates(value: Any) -> Any:
    """Return a value in which Terraform does not find template sequences such as `${`."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [escape_templates(item) for item in value]
    return {key: escape_templates(item) for key, item in value.items()} if isinstance(value, dict) else value


# --- resources


def resource_body(block: Block, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a resource or nested block: only the attributes and blocks that are set."""
    body = {name: config[name] for name in block.attributes if config.get(name) is not None}
    for name, (_, nested) in block.blocks.items():
        value = config.get(name)
        if isinstance(value, dict):
            body[name] = resource_body(nested, value)
        elif value:
            body[name] = [resource_body(nested, item) for item in value]
    return body


def sensitive_paths(block: Block, attributes: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the sensitive attributes of a resource and of its nested blocks, as paths of Terraform's state format."""
    paths = [[attribute_step(name)] for name in sensitive_attributes(block)]
    for name, (_, nested) in block.blocks.items():
        for index in range(len(attributes.get(name) or [])):
            index_step = {"type": "index", "value": {"value": index, "type": "number"}}
            paths += [
                [attribute_step(name), index_step, attribute_step(member)] for member in sensitive_attributes(nested)
            ]
    return paths


def sensitive_attributes(block: Block) -> list[str]:
    """Return the attributes that a block's schema declares sensitive."""
    return [name for name, (_, schema) in block.attributes.items() if schema.sensitive]


def attribute_step(name: str) -> dict[str, Any]:
    """Return the step of a path that leads to an attribute."""
    return {"type": "get_attr", "value": name}


def local_name(urn: str) -> str:
    """Return Terraform's local name for a resource."""
    return re.sub(r"\W", "_", urn.rsplit("::", 1)[-1])


def resource_state(mapping: TypeMapping, resource: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a resource's entry in Terraform's state; None if it has no state, as in a program with mocks."""
    stored = stored_state_of(reveal(resource.get("outputs", {})))
    if stored is None:
        return None
    attributes = json.loads(stored.attributes)
    instance = {
        "schema_version": stored.schema_version,
        "attributes": attributes,
        "sensitive_attributes": sensitive_paths(mapping.block, attributes),
        "private": base64.b64encode(stored.private).decode(),
    }
    return {
        "mode": "managed",
        "type": mapping.terraform_type,
        "name": local_name(resource["urn"]),
        "provider": f'provider["{PROVIDER_SOURCE}"]',
        "instances": [instance],
    }


# --- files


def write(folder: Path, binary: Path, resources: Iterable[Mapping[str, Any]], region: str) -> int:
    """Write the AWS resources among Pulumi's resources as Terraform's files; return how many of them have a state.

    binary: Terraform's AWS provider. resources: from `pulumi stack export --show-secrets`, so that the files contain
    secrets.
    """
    table = name_table.load(binary)
    mappings: dict[str, TypeMapping] = {}
    bodies: dict[str, dict[str, Any]] = {}
    states: list[dict[str, Any]] = []
    for resource in resources:
        token = type_token(resource["urn"])
        if not token.startswith("aws:"):
            continue
        if token not in mappings:
            mappings[token] = TypeMapping(table.resources[token])
        mapping = mappings[token]
        body = resource_body(mapping.block, mapping.to_config(unwrap(reveal(resource["inputs"]))))
        bodies.setdefault(mapping.terraform_type, {})[local_name(resource["urn"])] = escape_templates(body)
        state = resource_state(mapping, resource)
        if state:
            states.append(state)
    write_configuration(folder, binary, bodies, region)
    write_state(folder, states)
    return len(states)


def write_configuration(folder: Path, binary: Path, bodies: Mapping[str, Any], region: str) -> None:
    """Write the configuration with the resources' bodies, and the CLI configuration that installs this provider."""
    version = binary.parent.parent.name
    document = {
        "terraform": {"required_providers": {"aws": {"source": PROVIDER_SOURCE, "version": version}}},
        "provider": {
            "aws": {
                "region": region,
                "skip_metadata_api_check": "true",
                "skip_region_validation": True,
                "s3_use_path_style": True,
            }
        },
        "resource": bodies,
    }
    (folder / CONFIGURATION_FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")
    mirror = binary.parents[MIRROR_LEVEL]
    (folder / CLI_CONFIGURATION_FILE).write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n', encoding="utf-8"
    )


def write_state(folder: Path, states: list[dict[str, Any]]) -> None:
    """Write Terraform's state with these resources."""
    document = {
        "version": 4,
        "terraform_version": "1.0.0",
        "serial": 1,
        "lineage": "terraform-export",
        "outputs": {},
        "resources": states,
    }
    (folder / STATE_FILE).write_text(json.dumps(document), encoding="utf-8")


def run(folder: Path, arguments: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run terraform in a folder with exported files. environment: the sandbox's variables, see Session.variables."""
    terraform = shutil.which("terraform") or "terraform"
    variables = {
        **os.environ,
        **environment,
        "TF_CLI_CONFIG_FILE": str(folder / CLI_CONFIGURATION_FILE),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }
    return subprocess.run(
        [terraform, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
