"""Starts, finds and stops the emulator of one clone."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from common.errors import SandboxError
from common.files import ROOT, exclusive_lock, read_json, user_cache, write_private
from sandbox.console import progress, say
from sandbox.engine.obtain import run_visibly
from sandbox.paths import Paths

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
HOST = "127.0.0.1"
LOCK_PURPOSE = "is starting or stopping the emulator"
RESPONSE_SECONDS = 2
BUSY_RESPONSE_SECONDS = 10  # before a restart, so that an emulator that is only busy is not killed
START_SECONDS = 60
STOP_SECONDS = 20
KILL_SECONDS = 5
POLL_SECONDS = 0.1
IDLE_SECONDS = 4 * 3600  # then it stops by itself; its data is kept, and the next command starts it again
LISTEN_BACKLOG = 1024


@dataclass(frozen=True)
class EmulatorProcess:
    """A running emulator.

    Attributes:
        pid: Its process id.
        start_time: When the process started, as `ps` prints it: the system can use a process id again.
        port: The port that it listens on.
        code: The version of the code that it runs, see code_version.
    """

    pid: int
    start_time: str
    port: int
    code: str

    @property
    def endpoint(self) -> str:
        """The value for AWS_ENDPOINT_URL.

        It has an address, not a host name, so that the AWS SDK puts the name of a bucket into the path.
        """
        return f"http://{HOST}:{self.port}"

    def to_json(self) -> str:
        """Return the content of the process file."""
        return json.dumps({"pid": self.pid, "started": self.start_time, "port": self.port, "code": self.code})

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "EmulatorProcess | None":
        """Return the process that a process file describes, or None if it is incomplete."""
        try:
            return cls(
                pid=int(str(content["pid"])),
                start_time=str(content["started"]),
                port=int(str(content["port"])),
                code=str(content["code"]),
            )
        except (KeyError, ValueError):
            return None


def process_file(paths: Paths) -> Path:
    """Return the file that says which process is the emulator."""
    return paths.emulator / "process.json"


def log_file(paths: Paths) -> Path:
    """Return the emulator's log."""
    return paths.emulator / "log"


def code_version() -> str:
    """Return a digest of the emulator's code. An emulator that was started from other code must be restarted."""
    digest = hashlib.sha256()
    for file in (REQUIREMENTS, HERE / "serve.py", *sorted(HERE.glob("*/*.py"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def start_time(pid: int) -> str:
    """Return when a process started, as `ps` prints it; empty if it does not run or is a zombie."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started_at = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started_at.strip()


def find(paths: Paths) -> EmulatorProcess | None:
    """Return the running emulator of this clone, or None. A process file whose process no longer runs is deleted."""
    emulator = EmulatorProcess.from_json(read_json(process_file(paths)))
    if emulator and start_time(emulator.pid) != emulator.start_time:
        process_file(paths).unlink(missing_ok=True)
        return None
    return emulator


def answers(emulator: EmulatorProcess, timeout_seconds: float = RESPONSE_SECONDS) -> bool:
    """Tell whether the emulator answers."""
    # Without a ProxyHandler of our own, urllib would use the proxy that the machine is configured with.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{emulator.endpoint}/_ministack/health", timeout=timeout_seconds) as response:
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False


def ensure(paths: Paths) -> EmulatorProcess:
    """Return this clone's emulator. It is started if it does not run, and restarted if its code changed or it hangs."""
    with exclusive_lock(paths.emulator / "lock", LOCK_PURPOSE, say):
        emulator = find(paths)
        if emulator:
            is_current = emulator.code == code_version()
            if is_current and answers(emulator, BUSY_RESPONSE_SECONDS):
                return emulator
            reason = "does not answer" if is_current else "runs older code"
            say(f"the emulator (process {emulator.pid}) {reason}; restarting it. Its data is kept.")
            terminate(emulator)
        return start(paths, ensure_python())


def ensure_python() -> Path:
    """Return the Python interpreter of the emulator's virtual environment, which is created if it is missing."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = user_cache() / f"emulator-{digest}"
    python, complete = folder / "bin" / "python", folder / ".complete"
    if complete.exists() and python.exists():
        return python
    with exclusive_lock(folder.with_suffix(".lock"), "is installing the emulator", say):
        if not (complete.exists() and python.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            complete.touch()
    return python


def install(folder: Path) -> None:
    """Create the emulator's virtual environment and install ministack in it."""
    say("installing the emulator (ministack) in its own virtual environment, once per machine")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    create = [sys.executable, "-m", "venv", str(folder)]
    for command in (create, [*pip, "--require-hashes", "-r", str(REQUIREMENTS)]):
        with progress("installing ministack") as line:
            status, output = run_visibly(command, line.show)
        if status != 0:
            reason = " / ".join(list(output)[-2:]) or f"exit code {status}"
            raise SandboxError(
                f"the emulator cannot be installed: {reason}\n"
                "It needs the Python package index. Fix the error above, then run the same command again."
            )


def listen(preferred_port: int) -> socket.socket:
    """Return a socket that listens on the preferred port, or on any other if that one is in use; 0 means any.

    The emulator keeps its port between runs, so that AWS_ENDPOINT_URL stays valid in shells that use `./infra env`.
    """
    for port in (preferred_port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            if port:
                say(
                    f"port {port}, which the emulator used before, cannot be used ({error.strerror}); using another "
                    "one. Run `./infra env` again in shells that use it."
                )
                continue
            raise
        listener.listen(LISTEN_BACKLOG)
        return listener
    raise AssertionError  # binding port 0 cannot find it in use


def start(paths: Paths, python: Path) -> EmulatorProcess:
    """Start the emulator and wait until it answers."""
    port_file = paths.emulator / "port"
    preferred_port = 0
    with suppress(OSError, ValueError):
        preferred_port = int(port_file.read_text(encoding="utf-8"))
    with listen(preferred_port) as listener:
        port = int(listener.getsockname()[1])
        process = start_server(paths, python, listener, port)
    emulator = EmulatorProcess(process.pid, start_time(process.pid), port, code_version())
    try:
        write_private(process_file(paths), emulator.to_json())
        write_private(port_file, str(port))
        wait_until_it_answers(process, emulator, log_file(paths))
    except BaseException:  # also Ctrl-C and a full disk: without its file, nothing could find or stop the process
        terminate(emulator)
        process_file(paths).unlink(missing_ok=True)
        raise
    say(f"the emulator is running at {emulator.endpoint} (process {emulator.pid}). To stop it:\n  ./infra sandbox stop")
    return emulator


def start_server(paths: Paths, python: Path, listener: socket.socket, port: int) -> "subprocess.Popen[bytes]":
    """Start the emulator's process, which inherits the socket."""
    descriptor = os.dup(listener.fileno())
    os.set_inheritable(descriptor, True)  # noqa: FBT003 the function takes it by position only
    try:
        with log_file(paths).open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [str(python), "-m", "sandbox.emulator.serve", str(descriptor), str(IDLE_SECONDS)],
                env=server_environment(paths, port),
                cwd=paths.emulator,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[descriptor],
                start_new_session=True,
            )
    finally:
        os.close(descriptor)


def wait_until_it_answers(process: "subprocess.Popen[bytes]", emulator: EmulatorProcess, log: Path) -> None:
    """Return when the emulator answers. SandboxError if it stops before that, or takes longer than START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {process.returncode}"
            raise SandboxError(f"the emulator stopped while it was starting: {reason}\nIts log:\n  {log}")
        if answers(emulator):
            return
        time.sleep(POLL_SECONDS)
    raise SandboxError(f"the emulator did not answer within {START_SECONDS} s of its start. Its log:\n  {log}")


def server_environment(paths: Paths, port: int) -> dict[str, str]:
    """Return the emulator's environment variables, without the AWS settings of this machine."""
    foreign = ("AWS_", "PYTHON", "VIRTUAL_ENV", "LOCALSTACK_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": "localhost",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(paths.emulator / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(paths.emulator / "s3"),
        # With Docker, ministack would start real databases in containers. The sandbox only emulates the API.
        "DOCKER_HOST": "unix:///nonexistent",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(paths.emulator),
    }


def terminate(emulator: EmulatorProcess) -> None:
    """Stop the emulator, which saves its data first. It is killed if it takes longer than STOP_SECONDS."""
    for number, wait_seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        with suppress(ProcessLookupError):
            os.kill(emulator.pid, number)
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(emulator.pid, os.WNOHANG)
            if start_time(emulator.pid) != emulator.start_time:
                return
            time.sleep(POLL_SECONDS)


def stop(paths: Paths) -> bool:
    """Stop this clone's emulator. Return whether it was running."""
    with exclusive_lock(paths.emulator / "lock", LOCK_PURPOSE, say):
        emulator = find(paths)
        if emulator is None:
            return False
        terminate(emulator)
        process_file(paths).unlink(missing_ok=True)
        return True
