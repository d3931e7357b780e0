"""The HTTP server's connections."""

from hypercorn.config import Config

from sandbox.emulator.patches.hooks import gap


@gap
def connections_stay_open() -> None:
    """AWS does not close a busy connection. Hypercorn does, after 1,000 requests or 5 idle seconds.

    The AWS SDK then sends its request again, and a create that is not idempotent fails ("record already exists").
    """
    Config.keep_alive_max_requests = 10**9
    Config.keep_alive_timeout = 3600.0
