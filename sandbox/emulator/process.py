"""Starts, finds and stops the emulated AWS of one clone."""

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
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

from sandbox.console import progress, tell
from sandbox.engine.obtain import run_visibly
from sandbox.errors import SandboxError
from sandbox.paths import ROOT, Paths, only_one, read_json, user_cache, write_private

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 20
IDLE_SECONDS = 4 * 3600  # it ends by itself then; its state stays, and the next command starts it again


@dataclass(frozen=True)
class Running:
    """A running emulator: its process, when that started (a process number alone can be used again), and its port."""

    pid: int
    started: str
    port: int
    code: str

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be. An address, not a name: the AWS SDK then puts a bucket's name into the path."""
        return f"http://{HOST}:{self.port}"


def code_version() -> str:
    """Return a digest of what the emulator runs, so that one started before a change is told apart."""
    digest = hashlib.sha256()
    for file in (REQUIREMENTS, HERE / "serve.py", HERE / "patches.py"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def start_time(pid: int) -> str:
    """Return when a process started, in the system's own words; empty where there is none, or only its zombie."""
    done = subprocess.run(["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    state, _, started = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def find(paths: Paths) -> Running | None:
    """Return the running emulator of this clone, or None. A record whose process is gone is stale and is removed."""
    record_file = paths.emulator / "process.json"
    record = read_json(record_file)
    try:
        running = Running(pid=int(str(record["pid"])), started=str(record["started"]), port=int(str(record["port"])), code=str(record["code"]))
    except (KeyError, ValueError):
        return None
    if start_time(running.pid) != running.started:
        record_file.unlink(missing_ok=True)
        return None
    return running


def answers(running: Running, timeout_seconds: float = 2) -> bool:
    """Tell whether the emulator answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the machine has no business here
    try:
        with opener.open(f"{running.endpoint}/_ministack/health", timeout=timeout_seconds) as reply:
            return bool(reply.status == HTTPStatus.OK)
    except OSError:
        return False


def ensure(paths: Paths) -> Running:
    """Return this clone's emulator, started now if it does not run, restarted if its code has changed or it hangs."""
    with only_one(paths.emulator / "lock", "it starts the emulated AWS"):
        running = find(paths)
        if running and running.code == code_version() and answers(running, timeout_seconds=10):
            return running
        if running:
            tell(f"emulated AWS: process {running.pid} {'runs older code' if running.code != code_version() else 'does not answer'}: restarting it (its state is kept)")
            end(running)
        return start(paths, environment())


def environment() -> Path:
    """Return the Python of the emulator's own environment, made where it is missing."""
    folder = user_cache() / f"emulator-{hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]}"
    python, complete = folder / "bin" / "python", folder / ".complete"
    if complete.exists() and python.exists():
        return python
    with only_one(folder.with_suffix(".lock"), "it installs the emulated AWS"):
        if complete.exists() and python.exists():
            return python
        tell("emulated AWS: installing ministack in an environment of its own (once a machine)")
        shutil.rmtree(folder, ignore_errors=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            with progress("installing ministack") as line:
                status, tail = run_visibly(command, line.show)
            if status != 0:
                message = f"the emulated AWS could not be installed: {' / '.join(list(tail)[-2:]) or f'exit {status}'}. It needs the Python package index; run the same command again when that is reached."
                raise SandboxError(message)
        complete.touch()
    return python


def listen(preferred: int) -> socket.socket:
    """Bind the port of the last time if it is free, so that a shell's AWS_ENDPOINT_URL stays right; else a free one."""
    for port in (preferred, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            if port:
                tell(f"emulated AWS: port {port}, used before, is taken ({error.strerror}): taking another")
                continue
            raise
        listener.listen(1024)
        return listener
    raise AssertionError  # port 0 is never taken


def start(paths: Paths, python: Path) -> Running:
    """Start the emulator and wait until it answers."""
    port_file, log_file = paths.emulator / "port", paths.emulator / "log"
    preferred = 0
    with suppress(OSError, ValueError):
        preferred = int(port_file.read_text(encoding="utf-8"))
    with listen(preferred) as listener, log_file.open("a", encoding="utf-8") as log:
        port = int(listener.getsockname()[1])
        descriptor = os.dup(listener.fileno())
        os.set_inheritable(descriptor, True)  # noqa: FBT003 the function's only argument
        process = subprocess.Popen(
            [str(python), "-m", "sandbox.emulator.serve", str(descriptor), str(IDLE_SECONDS)],
            env=server_environment(paths, port),
            cwd=paths.emulator,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[descriptor],
            start_new_session=True,
        )
        os.close(descriptor)
    running = Running(process.pid, start_time(process.pid), port, code_version())
    try:
        write_private(paths.emulator / "process.json", json.dumps(asdict(running)))
        write_private(port_file, str(port))
        wait_until_it_answers(process, running, log_file)
    except BaseException:  # Ctrl-C and a full disk too: none may run that no record knows
        end(running)
        (paths.emulator / "process.json").unlink(missing_ok=True)
        raise
    tell(f"emulated AWS: ministack on {running.endpoint}, process {running.pid}; ends with `./infra sandbox stop`")
    return running


def wait_until_it_answers(process: "subprocess.Popen[bytes]", running: Running, log_file: Path) -> None:
    """Return when the emulator answers; SandboxError when it ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            message = f"the emulated AWS ended while it started ({' '.join(last) or f'exit {process.returncode}'}). Its log: {log_file}"
            raise SandboxError(message)
        if answers(running):
            return
        time.sleep(0.1)
    message = f"the emulated AWS did not answer within {START_SECONDS} s. Its log: {log_file}"
    raise SandboxError(message)


def server_environment(paths: Paths, port: int) -> dict[str, str]:
    """Return the emulator's environment: nothing of the machine's AWS settings reaches it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "VIRTUAL_ENV", "LOCALSTACK_"))}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": "localhost",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(paths.emulator / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(paths.emulator / "s3"),
        "DOCKER_HOST": "unix:///nonexistent",  # it would start databases in containers; the sandbox emulates the API alone
        "SFTP_ENABLED": "0",
        "TMPDIR": str(paths.emulator),
    }


def end(running: Running) -> None:
    """Stop the emulator; it writes its state first."""
    for number, wait_seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.kill(running.pid, number)
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(running.pid, os.WNOHANG)
            if start_time(running.pid) != running.started:
                return
            time.sleep(0.1)


def stop(paths: Paths) -> bool:
    """Stop this clone's emulator; tell whether one ran."""
    with only_one(paths.emulator / "lock", "it starts the emulated AWS"):
        running = find(paths)
        if running is None:
            return False
        end(running)
        (paths.emulator / "process.json").unlink(missing_ok=True)
        return True
