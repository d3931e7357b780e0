"""The table that maps pulumi_aws to Terraform's AWS provider. Built once per pair of versions, for all clones.

Entries of the table and Terraform's schema are JSON-like, hence `Any`.
"""

import hashlib
import importlib.metadata
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files import exclusive_lock, user_cache
from sandbox.bridge.blocks import Spec
from sandbox.bridge.terraform import pb
from sandbox.console import say

HERE = Path(__file__).resolve().parent
# The table is built again if one of these files changes.
SOURCES = (
    "blocks.py",
    "name_table.py",
    "name_table_builder.py",
    "property_names.py",
    "sdk_scan.py",
    "type_pairs.py",
)


@dataclass(frozen=True)
class NameTable:
    """The table. The whole is 20 MB, so an entry is unpickled when it is first used, see `read_entry`.

    Attributes:
        resources: Type token -> entry.
        functions: Token of a data source -> entry.
        provider_spec: The names of the provider's own settings.
        provider_schema: Terraform's schema of the provider's own settings.
    """

    resources: Mapping[str, bytes]
    functions: Mapping[str, bytes]
    provider_spec: Spec
    provider_schema: Any


def folder(binary: Path) -> Path:
    """Return the folder of the table for a Terraform provider and the installed pulumi_aws."""
    digest = hashlib.sha256("".join((HERE / name).read_text(encoding="utf-8") for name in SOURCES).encode())
    digest.update(f"{binary}:{binary.stat().st_size}".encode())
    return user_cache() / f"names-pulumi-aws-{importlib.metadata.version('pulumi_aws')}-{digest.hexdigest()[:12]}"


def ensure(binary: Path) -> Path:
    """Return the table's file. It is built if it is missing, which takes about 20 s on two cores."""
    file = folder(binary) / "table.pickle"
    if file.exists():
        return file
    lock = file.parent.with_name(f"{file.parent.name}.lock")
    with exclusive_lock(lock, "is building the bridge's table of names", say):
        if not file.exists():
            from sandbox.bridge import name_table_builder  # noqa: PLC0415 only the first run builds the table

            name_table_builder.build(binary, file)
    return file


def load(binary: Path) -> NameTable:
    """Return the table, after building it if it is missing."""
    content = pickle.loads(ensure(binary).read_bytes())  # noqa: S301 this user wrote it, to their own cache
    resources, functions, provider_spec, provider_schema = content
    return NameTable(resources, functions, provider_spec, pb.Schema.FromString(provider_schema))


def read_entry(entry: bytes) -> tuple[dict[str, Any], Any]:
    """Return the names of one type, and Terraform's schema of it."""
    names, schema = pickle.loads(entry)  # noqa: S301 see load
    return names, pb.Schema.FromString(schema)
