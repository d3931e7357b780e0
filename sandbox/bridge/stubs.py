"""Python stubs of Terraform's plugin protocol 5, made from tfplugin5.proto once and kept in the user cache."""

import hashlib
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from sandbox.errors import SandboxError
from sandbox.paths import user_cache

PROTO = Path(__file__).resolve().parent / "tfplugin5.proto"


def folder() -> Path:
    """Return where the stubs of this version of the protocol file are."""
    import grpc_tools  # noqa: PLC0415 only named here, for its version's sake

    version = hashlib.sha256(PROTO.read_bytes() + str(grpc_tools.__path__).encode()).hexdigest()[:12]
    return user_cache() / f"terraform-protocol-{version}"


def make() -> Path:
    """Make the stubs where they are missing; a half-made folder is never left."""
    target = folder()
    if target.exists():
        return target
    from grpc_tools import protoc  # noqa: PLC0415 slow to import, and needed once

    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=target.parent))
    try:
        if protoc.main(["protoc", f"-I{PROTO.parent}", f"--python_out={scratch}", f"--grpc_python_out={scratch}", PROTO.name]) != 0:
            message = f"the stubs of {PROTO.name} could not be made; run `./infra sandbox reset` and try again"
            raise SandboxError(message)
        try:
            scratch.replace(target)
        except OSError:
            if not target.exists():  # another process made the same folder first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def load() -> tuple[ModuleType, ModuleType]:
    """Import the stubs: messages, and services."""
    sys.path.append(str(make()))
    return importlib.import_module("tfplugin5_pb2"), importlib.import_module("tfplugin5_pb2_grpc")
