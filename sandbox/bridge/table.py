"""The table of names and Terraform's schema, made once for a pair of versions and kept in the user cache."""

import hashlib
import importlib.metadata
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bridge import terraform
from sandbox.paths import only_one, user_cache

MAKERS = ("sdk_scan.py", "names.py", "table.py")  # the table depends on these files too


@dataclass(frozen=True)
class Names:
    """What the bridge must know of one type: entries of the table, each unpickled when it is first used."""

    resources: Mapping[str, bytes]
    functions: Mapping[str, bytes]
    provider: dict[str, Any]
    counts: dict[str, Any]


def folder(binary: Path) -> Path:
    """Return where the table of this provider and this pulumi_aws is kept."""
    digest = hashlib.sha256("".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in MAKERS).encode())
    digest.update(f"{binary}:{binary.stat().st_size}".encode())
    return user_cache() / f"names-pulumi-aws-{importlib.metadata.version('pulumi_aws')}-{digest.hexdigest()[:12]}"


def make(binary: Path) -> Path:
    """Make the table where it is missing, once even when several processes ask; about 20 s on two cores."""
    target = folder(binary) / "table.pickle"
    if target.exists():
        return target
    with only_one(target.parent.with_suffix(".lock"), "it makes the bridge's table of names"):
        if target.exists():
            return target
        from sandbox.bridge import names, sdk_scan  # noqa: PLC0415 only the first run needs them

        process, client = terraform.start(binary)
        try:
            schema = client.GetSchema(terraform.pb.GetProviderSchema.Request())
        finally:
            process.kill()
        built = names.build(sdk_scan.scan_all(), schema)
        entries = {kind: {token: pickle.dumps((entry, schema_of(schema, kind, entry["type"]))) for token, entry in built[kind].items()} for kind in ("resources", "functions")}
        target.parent.mkdir(parents=True, exist_ok=True)
        content = pickle.dumps((entries["resources"], entries["functions"], (built["provider"], schema.provider.SerializeToString()), built["counts"]))
        (target.parent / "counts.json").write_text(json.dumps(built["counts"], indent=1), encoding="utf-8")
        temporary = target.with_suffix(".tmp")
        temporary.write_bytes(content)
        temporary.replace(target)
    return target


def schema_of(schema: Any, kind: str, name: str) -> bytes:
    """Return one type's schema message."""
    found = (schema.resource_schemas if kind == "resources" else schema.data_source_schemas)[name]
    return bytes(found.SerializeToString())


def load(binary: Path) -> Names:
    """Return the table, made now if need be. Unpickled per type at its first use: the whole is 20 MB."""
    resources, functions, (spec, schema), counts = pickle.loads(make(binary).read_bytes())  # noqa: S301 written by this user, in the user's own cache
    provider = {"spec": spec, "schema": terraform.pb.Schema.FromString(schema)}
    return Names(resources, functions, provider, counts)


def entry(data: bytes) -> tuple[dict[str, Any], Any]:
    """Return one type's names and its schema."""
    names, schema = pickle.loads(data)  # noqa: S301 as above
    return names, terraform.pb.Schema.FromString(schema)
