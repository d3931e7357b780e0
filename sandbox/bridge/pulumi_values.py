"""Pulumi's property values: their form in protobuf, and their wrappers around secrets, unknown values and assets.

Property values are JSON-like and have no fixed type, hence `Any`.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import struct_pb2

from common.files import PRIVATE_MODE, user_cache, write_atomically

# The signatures of Pulumi's property protocol (sdk/go/common/resource/plugin/rpc.go and .../properties.go).
PULUMI_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
LARGEST_INTEGER = 2**63  # larger numbers are encoded as floating-point numbers


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
            return asset_file(value)
        return unwrap(value.get("value", None if signature == SECRET else PULUMI_UNKNOWN))
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_INTEGER:
        return int(value)
    return value


def has_secret(value: Any) -> bool:
    """Tell whether a value is a secret or contains one."""
    if isinstance(value, dict):
        return value.get(SIGNATURE) == SECRET or any(has_secret(item) for item in value.values())
    return isinstance(value, list) and any(has_secret(item) for item in value)


def as_secret(value: Any) -> dict[str, Any]:
    """Wrap a value as a secret."""
    return {SIGNATURE: SECRET, "value": value}


# --- assets


class UnsupportedAssetError(Exception):
    """An asset that Terraform cannot be given as a file, such as a remote one."""


def asset_file(asset: Mapping[str, Any]) -> str:
    """Return a file with the content of an asset or archive. Archives become zip files.

    It is in the user cache under the engine's digest of the content, because the engine sends the content only once.
    Another content leads to another file, which Terraform sees as a change.
    """
    digest = asset.get("hash")
    file = user_cache() / "assets" / str(digest)
    if not digest or not file.exists():
        content = archive_content(asset) if asset[SIGNATURE] == ARCHIVE else asset_content(asset)
        file = file.with_name(digest or hashlib.sha256(content).hexdigest())
        write_atomically(file, content, PRIVATE_MODE)
    return str(file)


def asset_content(asset: Mapping[str, Any]) -> bytes:
    """Return what an asset contains."""
    if asset.get("path"):
        return Path(asset["path"]).read_bytes()
    if "text" in asset:
        return str(asset["text"]).encode()
    raise UnsupportedAssetError(
        "the sandbox's AWS provider supports only assets from files and strings.\n"
        "Write the content to a file, and use FileAsset or FileArchive."
    )


def archive_content(archive: Mapping[str, Any]) -> bytes:
    """Return an archive as a zip file, which is the same for the same content."""
    path = Path(archive["path"]) if archive.get("path") else None
    if path and path.is_file():
        if not zipfile.is_zipfile(path):
            raise UnsupportedAssetError(f"{path} is not a zip file. Use a zip file, or the folder with its content.")
        return path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, content in sorted(archive_members(archive)):
            stream.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def archive_members(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file in an archive of a folder or of other assets and archives."""
    if value[SIGNATURE] == ASSET:
        yield prefix.rstrip("/"), asset_content(value)
    elif value.get("path"):
        folder = Path(value["path"])
        files = [path for path in folder.rglob("*") if path.is_file()]
        yield from ((f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes()) for path in files)
    elif "assets" in value:
        for name, member in value["assets"].items():
            yield from archive_members(member, f"{prefix}{name}/")
    else:
        asset_content(value)  # raises the error
