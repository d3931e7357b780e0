"""Run as the plugin: `python -m sandbox.bridge --terraform-provider FILE [--spare SOCKET] [ENGINE_ADDRESS]`; prints its port."""

import argparse
import gc
import os
import signal
import socket
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.bridge import terraform
from sandbox.bridge.provider import Aws


def main(arguments: list[str]) -> None:
    """Serve the engine until it says stop, or is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--terraform-provider", type=Path, required=True)
    parser.add_argument("--spare", type=Path)
    parser.add_argument("engine_address", nargs="?", default="")
    given, _ = parser.parse_known_args(arguments)
    gc.set_threshold(200_000, 50, 50)  # property maps are made and dropped whole, without cycles
    provider = Aws(given.terraform_provider)
    # More threads than the engine's parallelism (64): each waits in Terraform's provider for most of its time.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), options=terraform.NO_LIMIT)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop(*_: object) -> None:
        if provider.process:
            provider.process.kill()
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if given.spare:
        wait_to_be_taken(given.spare, provider, port)
    else:
        provider.tell(given.engine_address)
        print(port, flush=True)  # noqa: T201 the protocol's handshake
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(1)
    stop()


def wait_to_be_taken(path: Path, provider: Aws, port: int) -> None:
    """Serve the one who connects (see claim.py) until it is gone; return too when ./infra ends and nobody has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        taken = threading.Event()

        def watch() -> None:
            sys.stdin.buffer.read()
            if not taken.is_set():
                listener.shutdown(socket.SHUT_RDWR)  # accept fails below

        threading.Thread(target=watch, daemon=True).start()
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        taken.set()
    with connection:
        provider.tell(connection.recv(256).decode().strip())
        connection.sendall(f"{port}\n".encode())
        connection.recv(1)


if __name__ == "__main__":
    main(sys.argv[1:])
