"""Errors that the bridge returns to the engine, which shows them to the user."""

import functools
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2

DETAILS_KEY = "grpc-status-details-bin"
Method = Callable[[Any, Any, Any], Any]


class BridgeError(Exception):
    """An error of one call.

    Attributes:
        code: The gRPC status code.
        details: A message for the engine, such as the state of a partially created resource; None if there is none.
    """

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN, details: Any = None) -> None:
        """Keep what the engine gets."""
        super().__init__(message)
        self.code, self.details = code, details

    def abort(self, context: Any) -> None:
        """End the call of a gRPC context with this error."""
        if self.details is not None:
            details = any_pb2.Any()
            details.Pack(self.details)
            status = status_pb2.Status(code=self.code.value[0], message=str(self), details=[details])
            context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
        context.abort(self.code, str(self))


def returns_bridge_errors(method: Method) -> Method:
    """Decorate a method of a gRPC servicer, so that the caller gets its BridgeErrors."""

    @functools.wraps(method)
    def wrapper(servicer: Any, request: Any, context: Any) -> Any:
        try:
            return method(servicer, request, context)
        except BridgeError as error:
            return error.abort(context)

    return wrapper
