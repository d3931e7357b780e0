"""Run as the plugin: `python -m sandbox.bridge --terraform-provider FILE ENGINE_ADDRESS`; prints its port."""

import gc
import os
import signal
import sys
import time
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.bridge import terraform
from sandbox.bridge.provider import Aws


def main(arguments: list[str]) -> None:
    """Serve the engine until it says stop, or is gone."""
    gc.set_threshold(200_000, 50, 50)  # property maps are made and dropped whole, without cycles
    binary = Path(arguments[arguments.index("--terraform-provider") + 1])
    engine_address = arguments[-1] if ":" in arguments[-1] and not arguments[-1].startswith("/") else ""
    provider = Aws(engine_address, binary)
    # More threads than the engine's parallelism (64): each waits in Terraform's provider for most of its time.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), options=terraform.NO_LIMIT)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 the protocol's handshake

    def stop(*_: object) -> None:
        if provider.process:
            provider.process.kill()
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    stop()


if __name__ == "__main__":
    main(sys.argv[1:])
