"""Python stubs of Terraform's plugin protocol 5, generated once from tfplugin5.proto and kept in the user cache."""

import hashlib
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from common.errors import SandboxError
from common.files import user_cache

PROTO = Path(__file__).resolve().parent / "tfplugin5.proto"


def folder() -> Path:
    """Return the folder with the stubs. It depends on the protocol file and on the installed grpc_tools."""
    import grpc_tools  # noqa: PLC0415 the import of the package alone is fast, unlike that of its compiler

    digest = hashlib.sha256(PROTO.read_bytes() + str(grpc_tools.__path__).encode())
    return user_cache() / f"terraform-protocol-{digest.hexdigest()[:12]}"


def generate() -> Path:
    """Generate the stubs if they are missing, in full or not at all, and return their folder."""
    target = folder()
    if target.exists():
        return target
    from grpc_tools import protoc  # noqa: PLC0415 the compiler is slow to import and runs once

    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=target.parent))
    command = ["protoc", f"-I{PROTO.parent}", f"--python_out={scratch}", f"--grpc_python_out={scratch}", PROTO.name]
    try:
        exit_code = protoc.main(command)
        if exit_code != 0:
            raise SandboxError(
                f"cannot generate Python stubs from {PROTO}: protoc exited with code {exit_code}.\n"
                "Fix the error above, then run the same command again."
            )
        try:
            scratch.replace(target)
        except OSError:
            if not target.exists():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def load() -> tuple[ModuleType, ModuleType]:
    """Import the stubs and return the modules with the messages and with the services."""
    sys.path.append(str(generate()))
    return importlib.import_module("tfplugin5_pb2"), importlib.import_module("tfplugin5_pb2_grpc")
