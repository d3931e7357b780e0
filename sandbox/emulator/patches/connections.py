"""The HTTP server's connections."""

from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config

from sandbox.emulator.patches.hooks import gap


@gap
def connections_stay_open() -> None:
    """AWS does not close a busy connection. Hypercorn does, after 1,000 requests or 5 idle seconds.

    The AWS SDK then sends its request again, and a create that is not idempotent fails ("record already exists").
    """
    Config.keep_alive_max_requests = 10**9
    Config.keep_alive_timeout = 3600.0


@gap
def closed_connections_are_closed() -> None:
    """AWS closes a connection that its client has closed. Hypercorn keeps it for as long as an idle one.

    Each refresh would leave more than a hundred of them, until the process may not open any more files.
    """
    read = TCPServer._read_data

    async def read_and_close(server: Any) -> None:
        await read(server)
        await server.idle_task.stop()

    TCPServer._read_data = read_and_close
