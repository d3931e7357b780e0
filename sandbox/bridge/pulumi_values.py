"""Pulumi's property values: their form in protobuf, and their wrappers around secrets, unknown values and assets.

Property values are JSON-like and have no fixed type, hence `Any`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from common.files import user_cache, write_private

# The signatures of Pulumi's property protocol (sdk/go/common/resource/plugin/rpc.go and .../properties.go).
PULUMI_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"


class UnsupportedAssetError(Exception):
    """An asset that Terraform cannot be given as a file, such as a remote one."""


# --- protobuf


def from_struct(struct: Any) -> dict[str, Any]:
    """Return a protobuf Struct as a dictionary."""
    return {key: from_value(value) for key, value in struct.fields.items()}


def from_value(value: Any) -> Any:
    """Return a protobuf Value as a Python value."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    return None if kind in {None, "null_value"} else getattr(value, kind)


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return a dictionary as a protobuf Struct."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


# --- wrappers


def unwrap(value: Any) -> Any:
    """Return a value without secret and output wrappers, with whole numbers as integers and assets as paths."""
    if isinstance(value, dict):
        signature = value.get(SIGNATURE)
        if signature is None:
            return {key: unwrap(item) for key, item in value.items()}
        if signature in {ASSET, ARCHIVE}:
            return asset_path(value)
        return unwrap(value.get("value", None if signature == SECRET else PULUMI_UNKNOWN))
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def asset_path(asset: Mapping[str, Any]) -> str:
    """Return the file of an asset or archive. A string asset is written to the user cache, under its digest."""
    if asset.get("path"):
        return str(asset["path"])
    if "text" in asset:
        text = str(asset["text"])
        file = user_cache() / "assets" / hashlib.sha256(text.encode()).hexdigest()
        if not file.exists():
            write_private(file, text)
        return str(file)
    raise UnsupportedAssetError(
        "the sandbox's AWS provider supports only assets from files and strings.\n"
        "Write the content to a file, and use FileAsset or FileArchive."
    )


def has_secret(value: Any) -> bool:
    """Tell whether a value is a secret or contains one."""
    if isinstance(value, dict):
        return value.get(SIGNATURE) == SECRET or any(has_secret(item) for item in value.values())
    return isinstance(value, list) and any(has_secret(item) for item in value)


def as_secret(value: Any) -> dict[str, Any]:
    """Wrap a value as a secret."""
    return {SIGNATURE: SECRET, "value": value}
