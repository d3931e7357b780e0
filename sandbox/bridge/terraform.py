"""Starts Terraform's AWS provider and calls it with Terraform's plugin protocol, version 5.

The protocol's messages are generated without exported types, hence `Any`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgpack

from sandbox.bridge import stubs

pb, rpc = stubs.load()

UNKNOWN = msgpack.ExtType(0, b"\0")  # how the protocol encodes a value that is known after apply
MAGIC_COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"  # of Terraform's handshake
TERRAFORM_VERSION = "1.11.4"  # what the provider is told; it goes into the user agent of its requests
UNLIMITED_MESSAGES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
HANDSHAKE_FIELDS = 4  # core version, protocol version, network and address; a checksum and more may follow
STOP_SECONDS = 5
SOCKET_PREFIX = "unix:"  # of an address, as gRPC takes it

Config = Mapping[str, Any]


class ProviderStartError(Exception):
    """The provider exited before its handshake."""


@dataclass(frozen=True)
class ResourceState:
    """What Terraform stores of a resource.

    Attributes:
        attributes: The resource's attributes and nested blocks.
        private: The provider's own data about the resource.
    """

    attributes: dict[str, Any]
    private: bytes = b""


def start(binary: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """Start the provider and return its process and its address.

    setpriv makes the kernel kill the provider when the calling *thread* ends, so that thread must live as long as the
    provider is needed. `preexec_fn` cannot be used for this: it forks the Python process, and gRPC's fork handlers then
    break the child from time to time.
    """
    environment = {
        **os.environ,
        "TF_PLUGIN_MAGIC_COOKIE": MAGIC_COOKIE,
        "PLUGIN_PROTOCOL_VERSIONS": "5",
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
    }
    setpriv = shutil.which("setpriv")
    wrapper = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    with Path(os.environ.get("TF_PROVIDER_LOG", os.devnull)).open("ab") as log:
        process = subprocess.Popen(
            [*wrapper, str(binary)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
    handshake = (process.stdout.readline() if process.stdout else b"").decode().strip().split("|")
    if len(handshake) < HANDSHAKE_FIELDS:
        raise ProviderStartError(f"{binary} exited with code {process.wait()} before its handshake")
    network, address = handshake[2:4]
    return process, f"{SOCKET_PREFIX}{address}" if network == "unix" else address


class TerraformProvider:
    """A running provider. Each method is one call of the protocol and returns its reply."""

    def __init__(self, binary: Path) -> None:
        """Start the provider, see `start`."""
        self.process, self.address = start(binary)
        self.stub = rpc.ProviderStub(grpc.insecure_channel(self.address, options=UNLIMITED_MESSAGES))

    def kill(self) -> None:
        """Kill the provider, and remove its socket, which it would remove only if it ended by itself."""
        self.process.kill()
        if self.address.startswith(SOCKET_PREFIX):
            Path(self.address.removeprefix(SOCKET_PREFIX)).unlink(missing_ok=True)

    def schema(self) -> Any:
        """Return the schema of the provider, its resources and its data sources."""
        return self.stub.GetSchema(pb.GetProviderSchema.Request())

    def prepare(self, config: Config) -> Any:
        """Validate the provider's configuration."""
        return self.stub.PrepareProviderConfig(pb.PrepareProviderConfig.Request(config=encode(config)))

    def configure(self, config: Config) -> Any:
        """Configure the provider."""
        return self.stub.Configure(pb.Configure.Request(terraform_version=TERRAFORM_VERSION, config=encode(config)))

    def stop(self) -> None:
        """Ask the provider to interrupt its operations in progress."""
        self.stub.Stop(pb.Stop.Request(), timeout=STOP_SECONDS)

    def validate_resource(self, type_name: str, config: Config) -> Any:
        """Validate a resource's configuration."""
        return self.stub.ValidateResourceTypeConfig(
            pb.ValidateResourceTypeConfig.Request(type_name=type_name, config=encode(config))
        )

    def upgrade_state(self, type_name: str, version: int, state: str) -> Any:
        """Upgrade a state, as JSON, that an older version of the schema describes."""
        return self.stub.UpgradeResourceState(
            pb.UpgradeResourceState.Request(
                type_name=type_name, version=version, raw_state=pb.RawState(json=state.encode())
            )
        )

    def plan(self, type_name: str, prior: ResourceState | None, proposed: Any, config: Config) -> Any:
        """Plan a change of a resource. prior: None to create it."""
        return self.stub.PlanResourceChange(
            pb.PlanResourceChange.Request(
                type_name=type_name,
                prior_state=encode(prior.attributes if prior else None),
                proposed_new_state=encode(proposed),
                config=encode(config),
                prior_private=prior.private if prior else b"",
            )
        )

    def apply(
        self, type_name: str, prior: ResourceState | None, planned: Any, config: Config | None, private: bytes
    ) -> Any:
        """Apply a plan. planned and private: as the plan returned them; planned has no value to delete the resource."""
        return self.stub.ApplyResourceChange(
            pb.ApplyResourceChange.Request(
                type_name=type_name,
                prior_state=encode(prior.attributes if prior else None),
                planned_state=planned,
                config=encode(config),
                planned_private=private,
            )
        )

    def read(self, type_name: str, state: ResourceState) -> Any:
        """Read a resource from AWS."""
        return self.stub.ReadResource(
            pb.ReadResource.Request(type_name=type_name, current_state=encode(state.attributes), private=state.private)
        )

    def import_resource(self, type_name: str, resource_id: str) -> Any:
        """Look up an existing resource by its ID."""
        return self.stub.ImportResourceState(pb.ImportResourceState.Request(type_name=type_name, id=resource_id))

    def validate_data_source(self, type_name: str, config: Config) -> Any:
        """Validate a data source's configuration."""
        return self.stub.ValidateDataSourceConfig(
            pb.ValidateDataSourceConfig.Request(type_name=type_name, config=encode(config))
        )

    def read_data_source(self, type_name: str, config: Config) -> Any:
        """Read a data source."""
        return self.stub.ReadDataSource(pb.ReadDataSource.Request(type_name=type_name, config=encode(config)))


def encode(value: object) -> Any:
    """Return a value as the protocol carries it."""
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def decode(message: Any) -> Any:
    """Return the value in a message."""
    if message.msgpack:
        return msgpack.unpackb(message.msgpack, strict_map_key=False)
    return json.loads(message.json or b"null")
