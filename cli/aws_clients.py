"""boto3's clients for the account of one stack, and one error for everything that AWS or the network refuses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from common.errors import InfraError
from release.journal import SANDBOX


class Account(Protocol):
    """Where a stack's AWS is: a Backend has this."""

    @property
    def name(self) -> str:
        """Return the name of the backend."""

    def aws_session(self, stack: str) -> dict[str, Any]:
        """Return the arguments of boto3's Session for the stack; `endpoint_url` is the emulator's, if any."""


class AwsClients:
    """The clients for one stack, created when they are first needed.

    purpose: what AWS is asked for, as in "cannot ask AWS for <purpose>".
    """

    def __init__(self, account: Account, stack: str, purpose: str) -> None:
        """Read the settings of the account. This does not call AWS yet."""
        import boto3  # noqa: PLC0415 importing it takes a quarter of a second that other commands should not pay
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 see above

        self._stack, self._account, self._purpose = stack, account, purpose
        arguments = account.aws_session(stack)
        self._endpoint = arguments.pop("endpoint_url", None)
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._lock = threading.Lock()  # boto3's sessions must not be used by several threads; its clients may
        try:
            self._session = boto3.Session(**arguments)
        except BotoCoreError as error:  # an unknown profile
            raise self._error(error) from error

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service. Any: boto3 creates its clients at run time, without types."""
        with self._lock, self.errors():
            if (service, region) not in self._clients:
                client = self._session.client(service, endpoint_url=self._endpoint, region_name=region)
                self._clients[service, region] = client
            return self._clients[service, region]

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what boto3 raises in this block into an error for whoever runs the command."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 see __init__

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise self._error(error) from error

    def _error(self, cause: Exception) -> InfraError:
        """Return the error for an AWS that does not answer."""
        message = f"cannot ask AWS for {self._purpose} of {self._stack}: {cause}\n"
        if self._account.name == SANDBOX:
            return InfraError(message + "To see whether the emulator runs:\n  ./infra sandbox status")
        return InfraError(f"{message}Log in to the account of {self._stack}, or set aws:profile in its file.")
