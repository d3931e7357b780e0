"""Starts a Terraform provider and speaks its protocol, version 5."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import msgpack

from sandbox.bridge import stubs

pb, rpc = stubs.load()

UNKNOWN = msgpack.ExtType(0, b"\0")  # how the protocol writes a value that is known after apply
MAGIC_COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"  # terraform's handshake
NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ERROR, WARNING = 1, 2  # severities of a diagnostic


class ProviderDidNotStartError(Exception):
    """The provider's binary ended before its handshake."""


def start(binary: Path) -> tuple["subprocess.Popen[bytes]", Any]:
    """Start the provider; return its process and a client of it.

    Not with preexec_fn: it forks the Python process, and gRPC's fork handlers then break the child now and then. setpriv
    ends the provider when this process is killed; the thread that called this function must live as long as it does.
    """
    environment = {**os.environ, "TF_PLUGIN_MAGIC_COOKIE": MAGIC_COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "5", "PLUGIN_MIN_PORT": "10000", "PLUGIN_MAX_PORT": "25000"}
    setpriv = shutil.which("setpriv")
    wrapper = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    with Path(os.environ.get("TF_PROVIDER_LOG", os.devnull)).open("ab") as log:
        process = subprocess.Popen([*wrapper, str(binary)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    handshake = (process.stdout.readline() if process.stdout else b"").decode().strip().split("|")
    if len(handshake) < 4:  # noqa: PLR2004 core version, protocol, network, address
        message = f"{binary} did not start (exit {process.wait()})"
        raise ProviderDidNotStartError(message)
    address = f"unix:{handshake[3]}" if handshake[2] == "unix" else handshake[3]
    return process, rpc.ProviderStub(grpc.insecure_channel(address, options=NO_LIMIT))


def encode(value: object) -> Any:
    """Return a value as the protocol carries it."""
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def decode(value: Any) -> Any:
    """Return the value of a message."""
    return msgpack.unpackb(value.msgpack, strict_map_key=False) if value.msgpack else json.loads(value.json or b"null")


def text_of(diagnostic: Any) -> str:
    """Return a diagnostic as one text."""
    where = ".".join(step.attribute_name or step.element_key_string or str(step.element_key_int) for step in diagnostic.attribute.steps)
    return str(diagnostic.summary) + (f": {diagnostic.detail}" if diagnostic.detail else "") + (f" ({where})" if where else "")


def errors_of(diagnostics: Any) -> list[str]:
    """Return the texts of the errors among diagnostics."""
    return [text_of(diagnostic) for diagnostic in diagnostics if diagnostic.severity == ERROR]
