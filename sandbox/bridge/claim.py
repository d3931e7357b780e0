"""The command that the engine runs as the AWS plugin: uses the prestarted bridge if it is free, or starts another one.

    python -I -S claim.py PROGRAM [ARGUMENT ...] -- [ENGINE_ADDRESS]

The bridge and Terraform's provider need half a second to start, and the engine does not ask for them before the program
runs. `./infra` therefore starts a bridge in advance (see prestart.py) and passes its socket in INFRA_PRESTARTED_BRIDGE.
One provider resource claims that bridge; each of the others starts its own. Only the standard library is imported, to
keep this process fast.
"""

import os
import socket
import sys

VARIABLE = "INFRA_PRESTARTED_BRIDGE"
PORT_BYTES = 64
POLL_SECONDS = 1
STANDARD_OUTPUT = 1


def claim(socket_path: str, engine_address: str) -> "socket.socket | None":
    """Connect to the prestarted bridge and print its port. Return None if it is claimed already or does not run."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(socket_path)
        # If two processes connect at the same time, only one of them can delete the socket.
        os.unlink(socket_path)  # noqa: PTH108 importing pathlib would take a tenth of this process's time
        connection.sendall(f"{engine_address}\n".encode())
        port = connection.recv(PORT_BYTES)
    except OSError:
        connection.close()
        return None
    if not port:
        connection.close()
        return None
    os.write(STANDARD_OUTPUT, port)
    return connection


def main() -> None:
    """Represent the bridge towards the engine until one of the two ends.

    The engine ends the bridge by ending this process, which closes the connection.
    """
    separator = sys.argv.index("--")
    program, engine_arguments = sys.argv[1:separator], sys.argv[separator + 1 :]
    socket_path = os.environ.pop(VARIABLE, "")
    connection = claim(socket_path, " ".join(engine_arguments)) if socket_path else None
    if connection is None:
        os.execv(program[0], [*program, *engine_arguments])  # noqa: S606 the bridge, by its absolute path
    connection.settimeout(POLL_SECONDS)
    parent = os.getppid()
    while os.getppid() == parent:  # an engine that is killed does not end this process
        try:
            connection.recv(1)
        except TimeoutError:
            continue
        break


if __name__ == "__main__":
    main()
