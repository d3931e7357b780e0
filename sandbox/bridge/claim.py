"""The engine's way to the bridge: takes the spare one that `./infra` started beside the program, else starts one.

    python -I -S claim.py PROGRAM [ARGUMENT ...] -- [ENGINE_ADDRESS]

A bridge and Terraform's provider need half a second to start, and the engine asks for them only when the program has run.
`./infra` therefore starts one at once (see spare.py) and names its socket in INFRA_SPARE_BRIDGE. One provider resource takes
it; every other one starts its own. Imports the standard library only, for it runs before anything else can.
"""

import os
import socket
import sys

VARIABLE = "INFRA_SPARE_BRIDGE"


def claimed(path: str, engine: str) -> "socket.socket | None":
    """Return a connection to the spare bridge, or None where it is taken, gone or was never there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
        os.unlink(path)  # of two that connect at once, one removes it  # noqa: PTH108 pathlib costs a tenth of this process
        connection.sendall(f"{engine}\n".encode())
        port = connection.recv(64)
    except OSError:
        connection.close()
        return None
    if not port:
        connection.close()
        return None
    os.write(1, port)
    return connection


def main() -> None:
    """Stand for the spare bridge as long as both live: the engine ends this process, and the bridge sees its connection end."""
    split = sys.argv.index("--")
    program, engine = sys.argv[1:split], " ".join(sys.argv[split + 1 :])
    path = os.environ.pop(VARIABLE, "")
    connection = claimed(path, engine) if path else None
    if connection is None:
        os.execv(program[0], [*program, *sys.argv[split + 1 :]])  # noqa: S606 the bridge, by its path
    connection.settimeout(1)
    parent = os.getppid()
    while os.getppid() == parent:  # an engine that was killed does not end this process
        try:
            connection.recv(1)
        except TimeoutError:
            continue
        break


if __name__ == "__main__":
    main()
