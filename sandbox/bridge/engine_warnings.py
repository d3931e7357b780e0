"""Warnings that the engine shows to the user."""

import threading
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class EngineWarnings:
    """The warnings of one bridge. They are dropped until the bridge knows its engine, see `connect`."""

    def __init__(self) -> None:
        """Start without an engine."""
        self.engine: Any = None  # the generated class has no type
        self.shown_messages: set[str] = set()
        self.lock = threading.Lock()

    def connect(self, engine_address: str) -> None:
        """Send warnings to an engine. An empty address drops them."""
        self.engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address)) if engine_address else None

    def show(self, message: str, urn: str = "") -> None:
        """Show a warning. urn: the resource that it is about, if any."""
        if self.engine:
            try:
                self.engine.Log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn))
            except grpc.RpcError:  # the engine is shutting down, so it can no longer show anything
                return

    def show_once(self, message: str, urn: str = "") -> None:
        """Show a warning, unless this bridge has already shown it."""
        with self.lock:
            if message in self.shown_messages:
                return
            self.shown_messages.add(message)
        self.show(message, urn)
