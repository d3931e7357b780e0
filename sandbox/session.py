"""One clone's sandbox, ready to use: its tools, its environment variables, and Pulumi run in it."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sandbox import aws_provider, stack_files
from sandbox.bridge import spare
from sandbox.console import tell
from sandbox.emulator import process as emulator
from sandbox.engine import obtain as engine_tools
from sandbox.engine.obtain import Engine
from sandbox.errors import SandboxError
from sandbox.paths import PROJECT, ROOT, Paths, only_one, read_json, write_private

REGION = "us-east-1"  # for commands outside a stack; a stack's own region is in its configuration
ACCOUNT = "111111111111"  # the emulator takes the account from the access key; see account_of
PARALLEL = 64  # most of the time of an `up` is the AWS provider's own waiting: measured 231 s at 8, 180 s at 64
WATCH_SECONDS = 1


@dataclass(frozen=True)
class Session:
    """The sandbox of one clone with its tools at hand."""

    paths: Paths
    engine: Engine
    terraform_provider: Path | None = None  # what the bridge drives; None with the official plugin

    def environment(self, stack: str | None = None, *, endpoint: str | None = None) -> dict[str, str]:
        """Return the whole environment of a Pulumi process: nothing of the machine's AWS or Pulumi settings reaches it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
        return kept | self.variables(stack, endpoint=endpoint)

    def variables(self, stack: str | None = None, *, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables that make plain `pulumi` work against the sandbox."""
        return {
            "PATH": os.pathsep.join([str(self.engine.binary.parent), os.environ.get("PATH", os.defpath)]),
            "PULUMI_HOME": str(self.paths.home),
            "PULUMI_BACKEND_URL": f"file://{self.paths.state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_OPTION_CWD": str(self.paths.program),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "INFRA_SANDBOX_STALE_CHECK": str(self.paths.program),
            "AWS_ENDPOINT_URL": endpoint or emulator.ensure(self.paths).endpoint,
            "AWS_ACCESS_KEY_ID": account_of(stack),
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # what boto3 and older tools read
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def ensure_stack(self, stack: str) -> None:
        """Make a stack's state where it is missing. Refuses a stack without its file."""
        stack_files.require(stack)
        stack_files.refresh(self.paths)
        if not self.state_file(stack).exists():
            done = self.capture(["stack", "init", stack], stack)
            if done.returncode != 0 and not self.state_file(stack).exists():
                message = f"the stack {stack} could not be made: {done.stderr.strip()}"
                raise SandboxError(message)

    def state_file(self, stack: str) -> Path:
        """Return where the file backend keeps a stack's state."""
        return self.paths.state / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def capture(self, arguments: list[str], stack: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command and return what it printed."""
        command = [str(self.engine.binary), *arguments, "--non-interactive"]
        with self.spare_bridge(arguments, self.environment(stack)) as environment:
            return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, umask=0o077)

    @contextlib.contextmanager
    def spare_bridge(self, arguments: list[str], environment: dict[str, str]) -> Iterator[dict[str, str]]:
        """Start a bridge beside a command that runs the program; yield the environment that leads the engine to it."""
        if self.terraform_provider is None or arguments[:1] not in (["preview"], ["up"]):
            yield environment
            return
        command = aws_provider.bridge_command(self.terraform_provider)
        with spare.started(command, environment | {"PYTHONPATH": str(ROOT)}) as leading:
            yield {**environment, spare.VARIABLE: leading}

    def run(self, arguments: list[str], stack: str | None = None) -> int:
        """Run a Pulumi command on this terminal and return its exit code; end it when the emulated AWS goes away under it."""
        with self.spare_bridge(arguments, self.environment(stack)) as environment:
            return self.run_in(environment, arguments)

    def run_in(self, environment: dict[str, str], arguments: list[str]) -> int:
        """Run a Pulumi command in an environment; see run."""
        running = emulator.find(self.paths)
        process = subprocess.Popen([str(self.engine.binary), *arguments], env=environment, cwd=ROOT, umask=0o077)
        ended, lost = threading.Event(), threading.Event()

        def watch() -> None:
            while not ended.wait(WATCH_SECONDS):
                if running and emulator.find(self.paths) != running:
                    lost.set()
                    process.send_signal(signal.SIGINT)
                    if not ended.wait(20):
                        process.send_signal(signal.SIGINT)  # the second time Pulumi does not wait for what is under way
                    return

        threading.Thread(target=watch, daemon=True).start()
        with ctrl_c_is_for_the_child():
            status = process.wait()
        ended.set()
        stack_files.tell_of_changes(self.paths)
        if lost.is_set():
            message = (
                f"the emulated AWS (process {running.pid if running else '?'}) ended while Pulumi was at work. What both had written is kept: run the same command again and it goes on. "
                f"Its log: {self.paths.emulator / 'log'}"
            )
            raise SandboxError(message)
        return status

    def deployment(self, stack: str) -> Mapping[str, Any]:
        """Return a stack's state as the file backend keeps it; empty where there is none."""
        checkpoint = read_json(self.state_file(stack)).get("checkpoint")
        latest = checkpoint.get("latest") if isinstance(checkpoint, dict) else None
        return latest if isinstance(latest, dict) else {}

    def locked_by(self, stack: str) -> str:
        """Return which process is changing the stack, or an empty text; the lock of one that was killed is freed."""
        for lock in sorted((self.paths.state / ".pulumi" / "locks" / "organization" / PROJECT / stack).glob("*.json")):
            held = read_json(lock)
            pid = int(str(held.get("pid", 0)))
            if held.get("hostname") == socket.gethostname() and not emulator.start_time(pid):
                if not lock.exists():
                    continue  # it ended between the two looks
                tell(f"the lock on {stack} is of process {pid}, which is gone: freeing it")
                done = self.capture(["cancel", "--yes", "--stack", stack], stack)
                if done.returncode != 0:
                    raise SandboxError(done.stderr.strip())
                return ""
            return f"process {pid}, since {held.get('timestamp')}"
        return ""

    def refuse_if_locked(self, stack: str) -> None:
        """Refuse while another process works on the stack."""
        holder = self.locked_by(stack)
        if holder:
            raise SandboxError(f"another process is changing {stack}: {holder}. Wait for its end and run the same command again.")

    def refuse_if_pending(self, stack: str) -> None:
        """Refuse while the state has operations that were begun and never ended: Pulumi would create the same again."""
        pending = self.deployment(stack).get("pending_operations") or []
        if not pending:
            return
        raise SandboxError(pending_message(stack, [entry["resource"]["urn"] for entry in pending], "./infra pulumi"))


def pending_message(stack: str, urns: Sequence[str], pulumi: str) -> str:
    """Return what to say of operations that never ended, and what to do. pulumi: how plain Pulumi is called where the stack is."""
    listed = "\n".join(f"  {urn}" for urn in urns)
    return (
        f"the last change of {stack} was killed while these were under way, and nobody knows whether AWS made them:\n{listed}\n"
        "Pulumi would create them again. Say first what is true:\n"
        f"  none of them exists:  {pulumi} refresh --stack {stack} --clear-pending-creates --yes\n"
        f"  one of them exists:   {pulumi} refresh --stack {stack} --import-pending-creates URN --import-pending-creates ID --yes"
    )


@contextlib.contextmanager
def ctrl_c_is_for_the_child() -> Iterator[None]:
    """Let Ctrl-C reach only the child process, which ends in its own good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def account_of(stack: str | None, root: Path = ROOT) -> str:
    """Return the account that a stack allows, so that what the program checks about accounts holds in the sandbox too."""
    if stack is None or not (root / f"Pulumi.{stack}.yaml").exists():
        return ACCOUNT
    from ruamel.yaml import YAML  # noqa: PLC0415 only commands that name a stack pay for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        document = YAML(typ="safe").load(root / f"Pulumi.{stack}.yaml")
        allowed = document["config"]["aws:allowedAccountIds"]
        return str(allowed[0])
    except (YAMLError, KeyError, TypeError, IndexError):
        return ACCOUNT


def open_session(paths: Paths | None = None) -> Session:
    """Return the sandbox with everything in place, getting what is missing; SandboxError says what could not be had."""
    paths = paths or default_paths()
    paths.create()
    recorded = recorded_session(paths)
    if recorded:
        return recorded
    with only_one(paths.base / "tools.lock", "it gets the sandbox's tools"):
        return recorded_session(paths) or get_tools(paths)


def default_paths() -> Paths:
    """Return the sandbox of this clone; INFRA_SANDBOX_FOLDER names another one, as the tests do."""
    other = os.environ.get("INFRA_SANDBOX_FOLDER")
    return Paths(Path(other)) if other else Paths()


def versions() -> dict[str, str]:
    """Return what the record of tools depends on: any change makes them be looked for again."""
    launchers = hashlib.sha256(Path(aws_provider.__file__).read_bytes()).hexdigest()[:12]
    return {"launchers": launchers, "pulumi": installed_version("pulumi"), "pulumi_aws": installed_version("pulumi_aws"), "python": sys.executable, "root": str(ROOT)}


def recorded_session(paths: Paths) -> Session | None:
    """Return the sandbox with the tools that an earlier run found, while all that it found is still there."""
    record = read_json(paths.tools)
    files = record.get("files")
    if record.get("versions") != versions() or not isinstance(files, list) or not all(Path(file).exists() for file in files):
        return None
    engine = Engine(Path(str(files[0])), str(record["version"]), str(record["how"]), bool(record["has_language_host"]))
    return Session(paths, engine, Path(str(record["terraform_provider"])) if record["terraform_provider"] else None)


def get_tools(paths: Paths) -> Session:
    """Get the engine, its language host and the AWS provider, and record them."""
    engine = engine_tools.obtain()
    files = [engine.binary]
    host = paths.home / "plugins" / f"language-python-v{engine.version.removeprefix('v')}" / "pulumi-language-python"
    shutil.rmtree(host.parent, ignore_errors=True)
    if engine.has_language_host:
        tell("language host: pulumi's own, which came with the engine")
    else:
        aws_provider.write_launcher(host, [str(ROOT / "sandbox" / "engine" / "language_host.py")])
        files.append(host)
        tell("language host: sandbox/engine/language_host.py, as the engine came without one")
    provider = aws_provider.obtain(paths, engine)
    aws_provider.install_bridge(paths, provider)
    files.append(aws_provider.plugin_folder(paths))
    if provider.terraform_binary:
        files.append(provider.terraform_binary)
    record = {
        "versions": versions(),
        "files": [str(file) for file in files],
        "version": engine.version,
        "how": engine.how,
        "has_language_host": engine.has_language_host,
        "provider": provider.how,
        "terraform_provider": str(provider.terraform_binary) if provider.terraform_binary else "",
    }
    write_private(paths.tools, json.dumps(record, indent=1))
    return Session(paths, engine, provider.terraform_binary)
