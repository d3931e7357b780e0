"""The sandbox of one clone, ready to use: Pulumi runs against the emulator and has its own state and variables."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.console import count
from common.errors import SandboxError
from common.files import ROOT, read_json
from sandbox import aws_provider, stack_files, tools
from sandbox.bridge import prestart
from sandbox.console import say
from sandbox.emulator import process as emulator
from sandbox.emulator.process import EmulatorProcess
from sandbox.engine.obtain import Engine
from sandbox.paths import Paths
from sandbox.stack_files import ORGANIZATION
from settings.project_files import ACCOUNTS_KEY, PROJECT, environment_file

REGION = "us-east-1"  # for commands outside a stack; a stack's own region is in its environment file
DEFAULT_ACCOUNT = "111111111111"  # for commands outside a stack, see account_of
PARALLEL = 64  # an `up` mostly waits for the AWS provider: 231 s at 8 parallel operations, 180 s at 64, as measured
EMULATOR_CHECK_SECONDS = 1
INTERRUPT_SECONDS = 20  # how long Pulumi gets to finish the operations in progress after the first interrupt
KEPT_LOGS = 20  # of the engine; that of a deployment has up to 3 MB
PRIVATE_UMASK = 0o077  # state and plans can contain secrets
COMMANDS_WITH_BRIDGE = (["preview"], ["up"])  # they run the program, so they will ask for the AWS provider


@dataclass(frozen=True)
class Session:
    """The sandbox of one clone with its tools.

    Attributes:
        paths: Its folders.
        engine: The Pulumi CLI.
        terraform_provider: What the bridge drives; None with Pulumi's official AWS plugin.
    """

    paths: Paths
    engine: Engine
    terraform_provider: Path | None = None

    def environment(self, stack: str | None = None, *, endpoint: str | None = None) -> dict[str, str]:
        """Return all environment variables for a Pulumi process, without this machine's AWS and Pulumi settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
        return inherited | self.variables(stack, endpoint=endpoint)

    def variables(self, stack: str | None = None, *, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables that make plain `pulumi` use the sandbox.

        endpoint: the emulator's; None to start the emulator if it does not run.
        """
        return {
            "PATH": os.pathsep.join([str(self.engine.binary.parent), os.environ.get("PATH", os.defpath)]),
            "PULUMI_HOME": str(self.paths.home),
            "PULUMI_BACKEND_URL": f"file://{self.paths.state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_OPTION_CWD": str(self.paths.program),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DEBUG_COMMANDS": "true",  # offers --event-log
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "INFRA_SANDBOX_STALE_CHECK": str(self.paths.program),
            "AWS_ENDPOINT_URL": endpoint or emulator.ensure(self.paths).endpoint,
            "AWS_ACCESS_KEY_ID": account_of(stack),  # the emulator takes the account from the access key
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # for boto3 and older tools
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def remove_old_logs(self) -> None:
        """Keep the newest logs of the engine, which writes one for every command and never removes any."""
        logs = [(path.stat().st_mtime_ns, path) for path in (self.paths.home / "logs").glob("*.log") if path.is_file()]
        for _, path in sorted(logs, reverse=True)[KEPT_LOGS:]:
            path.unlink(missing_ok=True)

    def ensure_stack(self, stack: str) -> None:
        """Create a stack's state if there is none. An environment without a file is refused."""
        stack_files.require_environment_file(stack)
        stack_files.refresh(self.paths)
        if self.state_file(stack).exists():
            return
        done = self.capture(["stack", "init", stack], stack)
        # Another process may have created it in the meantime.
        if done.returncode != 0 and not self.state_file(stack).exists():
            raise SandboxError(f"the stack {stack} cannot be created: {done.stderr.strip()}")

    def state_file(self, stack: str) -> Path:
        """Return the file in which the file backend keeps a stack's state."""
        return self.paths.state / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def capture(self, arguments: list[str], stack: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command and return its output."""
        command = [str(self.engine.binary), *arguments, "--non-interactive"]
        with self.prestarted_bridge(arguments, self.environment(stack)) as environment:
            return subprocess.run(
                command,
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                umask=PRIVATE_UMASK,
            )

    @contextlib.contextmanager
    def prestarted_bridge(self, arguments: list[str], environment: dict[str, str]) -> Iterator[dict[str, str]]:
        """Start a bridge before the engine asks for one, if the command will need it.

        Yields the command's environment variables, which lead the engine to the bridge.
        """
        if self.terraform_provider is None or arguments[:1] not in COMMANDS_WITH_BRIDGE:
            yield environment
            return
        command = aws_provider.bridge_command(self.terraform_provider)
        with prestart.started(command, environment | {"PYTHONPATH": str(ROOT)}) as socket_path:
            yield {**environment, prestart.VARIABLE: socket_path}

    def run(self, arguments: list[str], stack: str | None = None) -> int:
        """Run a Pulumi command on this terminal and return its exit code.

        SandboxError if the emulator stops in the meantime.
        """
        with self.prestarted_bridge(arguments, self.environment(stack)) as environment:
            expected = emulator.find(self.paths)
            process = subprocess.Popen(
                [str(self.engine.binary), *arguments], env=environment, cwd=ROOT, umask=PRIVATE_UMASK
            )
            with (
                self.interrupting_on_emulator_stop(expected, process) as emulator_stopped,
                forward_interrupts_to_child(process),
            ):
                exit_code = process.wait()
        stack_files.warn_about_changed_copies(self.paths)
        self.remove_old_logs()
        if expected and emulator_stopped.is_set():
            raise SandboxError(
                f"the emulator (process {expected.pid}) stopped while Pulumi was running. Everything that was saved by "
                f"then is kept. Its log:\n  {emulator.log_file(self.paths)}\n"
                "To continue, run the same command again."
            )
        return exit_code

    @contextlib.contextmanager
    def interrupting_on_emulator_stop(
        self, expected: EmulatorProcess | None, process: "subprocess.Popen[bytes]"
    ) -> Iterator[threading.Event]:
        """Interrupt Pulumi if the emulator stops, because the AWS provider would keep trying for minutes.

        Yields an event that is set if the emulator stopped.
        """
        finished, emulator_stopped = threading.Event(), threading.Event()

        def watch() -> None:
            while not finished.wait(EMULATOR_CHECK_SECONDS):
                if expected and emulator.find(self.paths) != expected:
                    emulator_stopped.set()
                    process.send_signal(signal.SIGINT)
                    if not finished.wait(INTERRUPT_SECONDS):
                        process.send_signal(signal.SIGINT)  # Pulumi then no longer waits for operations in progress
                    return

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield emulator_stopped
        finally:
            finished.set()

    def deployment(self, stack: str) -> Mapping[str, Any]:
        """Return a stack's state as the file backend keeps it; empty if there is none."""
        checkpoint = read_json(self.state_file(stack)).get("checkpoint")
        latest = checkpoint.get("latest") if isinstance(checkpoint, dict) else None
        return latest if isinstance(latest, dict) else {}

    def lock_files(self, stack: str) -> list[Path]:
        """Return the file backend's locks on a stack."""
        return sorted((self.paths.state / ".pulumi" / "locks" / "organization" / PROJECT / stack).glob("*.json"))

    def locked_by(self, stack: str) -> str:
        """Return which process is updating the stack, or an empty string.

        A lock whose process was killed is removed.
        """
        for file in self.lock_files(stack):
            lock = read_json(file)
            pid = int(str(lock.get("pid", 0)))
            if lock.get("hostname") != socket.gethostname() or emulator.start_time(pid):
                return f"process {pid}, since {lock.get('timestamp')}"
            if file.exists():  # otherwise the process finished after the file was read
                say(f"{stack} was locked by process {pid}, which no longer runs; removing the lock")
                self.remove_locks(stack)
                return ""
        return ""

    def remove_locks(self, stack: str) -> None:
        """Remove all locks on a stack."""
        done = self.capture(["cancel", "--yes", "--stack", stack], stack)
        if done.returncode != 0:
            raise SandboxError(f"the lock on {stack} cannot be removed: {done.stderr.strip()}")

    def refuse_if_locked(self, stack: str) -> None:
        """Refuse if another process is updating the stack."""
        holder = self.locked_by(stack)
        if holder:
            raise SandboxError(
                f"another process is updating {stack}: {holder}.\nRun the same command again when it has finished."
            )

    def refuse_if_pending(self, stack: str) -> None:
        """Refuse plain Pulumi if operations of an earlier update did not complete."""
        pending = self.deployment(stack).get("pending_operations") or []
        if pending:
            urns = "\n".join(f"  {operation['resource']['urn']}" for operation in pending)
            raise SandboxError(
                f"the last update of {stack} was killed, and {count(len(pending), 'operation')} did not complete:\n"
                f"{urns}\n"
                "Pulumi could create these resources a second time. To find out what became of them, and continue:\n"
                f"  ./infra up {stack}"
            )


@contextlib.contextmanager
def forward_interrupts_to_child(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """Let a child shut down in order when this process is interrupted, and go on waiting for it.

    Ctrl-C reaches the child from the terminal. What only this process receives is passed on as Ctrl-C: SIGTERM, as from
    a canceled CI job, and SIGHUP, as from a lost connection.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    previous = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        previous[number] = signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def updating_processes(paths: Paths) -> dict[str, int]:
    """Return the process that is updating each stack of a sandbox now."""
    found: dict[str, int] = {}
    for file in (paths.state / ".pulumi" / "locks").glob("*/*/*/*.json"):
        pid = int(str(read_json(file).get("pid", 0)))
        if emulator.start_time(pid):
            found[file.parent.name] = pid
    return found


def account_of(stack: str | None, root: Path = ROOT) -> str:
    """Return the first account that a stack's file allows, so that the program's checks of the account pass."""
    folder = root / ORGANIZATION if stack == ORGANIZATION else root
    if stack is None or not (folder / environment_file(stack)).exists():
        return DEFAULT_ACCOUNT
    from ruamel.yaml import YAML  # noqa: PLC0415 only commands for a stack need it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 see above

    try:
        document = YAML(typ="safe").load(folder / environment_file(stack))
        return str(document["config"][ACCOUNTS_KEY][0])
    except (YAMLError, KeyError, TypeError, IndexError):
        return DEFAULT_ACCOUNT  # the checks of the file report what is wrong with it


def open_session(paths: Paths | None = None) -> Session:
    """Return the sandbox, after installing missing tools. SandboxError if one of them cannot be installed."""
    paths = paths or default_paths()
    paths.create()
    installed = tools.ensure(paths)
    return Session(paths, installed.engine, installed.terraform_provider)


def default_paths() -> Paths:
    """Return the folders of this clone's sandbox."""
    return Paths()
