"""Runs the bridge as the engine's plugin for AWS, and prints its port.

python -m sandbox.bridge --terraform-provider FILE [--prestarted SOCKET] [ENGINE_ADDRESS]
"""

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
from sandbox.bridge.provider import AwsProvider

GC_THRESHOLDS = (200_000, 50, 50)  # property maps have no cycles, so that frequent collections find nothing
WORKERS = 128  # more than the engine's 64 parallel operations, because a worker mostly waits for Terraform's provider
POLL_SECONDS = 1
ADDRESS_BYTES = 256


def main(arguments: list[str]) -> None:
    """Serve the engine until it stops this process or exits itself."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--terraform-provider", type=Path, required=True)
    parser.add_argument("--prestarted", type=Path)
    parser.add_argument("engine_address", nargs="?", default="")
    options, _ = parser.parse_known_args(arguments)  # the engine may add options of its own
    gc.set_threshold(*GC_THRESHOLDS)
    provider = AwsProvider(options.terraform_provider)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=WORKERS), options=terraform.UNLIMITED_MESSAGES)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop(*_: object) -> None:
        provider.kill()
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if options.prestarted:
        serve_claimer(options.prestarted, provider, port)
    else:
        serve_engine(options.engine_address, provider, port)
    stop()


def serve_engine(engine_address: str, provider: AwsProvider, port: int) -> None:
    """Serve the engine that started this process until it exits."""
    provider.warnings.connect(engine_address)
    print(port, flush=True)  # noqa: T201 the engine reads it
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)


def serve_claimer(socket_path: Path, provider: AwsProvider, port: int) -> None:
    """Serve the engine whose claim.py connects to the socket, until it disconnects.

    Return also if `./infra` exits, which closes the standard input, before anyone has connected.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(socket_path))
        listener.listen(1)
        claimed = threading.Event()

        def stop_listening_without_starter() -> None:
            sys.stdin.buffer.read()
            if not claimed.is_set():
                listener.shutdown(socket.SHUT_RDWR)  # then accept fails

        threading.Thread(target=stop_listening_without_starter, daemon=True).start()
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        claimed.set()
    with connection:
        provider.warnings.connect(connection.recv(ADDRESS_BYTES).decode().strip())
        connection.sendall(f"{port}\n".encode())
        connection.recv(1)


if __name__ == "__main__":
    main(sys.argv[1:])
