"""Where Pulumi runs: in the sandbox, or as this shell's own `pulumi` is logged in (real AWS). The verbs of promotion work on both."""

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from release.deployed import Deployed, read
from release.promote import config_in, file_of, on, read_text
from sandbox import stack_files
from sandbox.emulator import process as emulator
from sandbox.errors import SandboxError
from sandbox.paths import PROJECT, ROOT, user_cache
from sandbox.session import PARALLEL, Session, account_of, ctrl_c_is_for_the_child, default_paths, open_session

LOCKED = re.compile(r"currently locked by|Another update is currently in progress|\[409\] Conflict")
HOLDER = re.compile(r"created by (\S+) \(pid (\d+)\) at (\S+)")


@dataclass(frozen=True)
class Outcome:
    """How an update ended. locked_by: who had the stack, where that was the reason."""

    status: int
    locked_by: str = ""


class Place(ABC):
    """A place in which stacks are."""

    name: str

    @property
    def suffix(self) -> str:
        """What a command of ours needs beside, to act in this place."""
        return on(self.name)

    @property
    def pulumi(self) -> str:
        """What plain Pulumi is called by here."""
        return "./infra pulumi" if self.name == "sandbox" else "pulumi"

    @abstractmethod
    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command and return what it printed."""

    @abstractmethod
    def update(self, arguments: Sequence[str], stack: str) -> Outcome:
        """Run a Pulumi command that changes the stack, on this terminal."""

    @abstractmethod
    def exists(self, stack: str) -> bool:
        """Tell whether the stack is there."""

    @abstractmethod
    def locked_by(self, stack: str) -> str:
        """Return who is changing the stack, where that can be known before one tries; the lock of the dead is freed."""

    @abstractmethod
    def queue_folder(self, stack: str) -> Path:
        """Return where those who wait for the stack say so."""

    @abstractmethod
    def aws(self, stack: str) -> dict[str, Any]:
        """Return the arguments of boto3's Session for the stack's account, and under `endpoint_url` where AWS is, if it is not AWS."""

    def next_steps(self, stack: str) -> list[str]:
        """Return what to type after an `up`."""
        del stack
        return ["Next: [bold]./infra status --on aws[/bold]"]

    def deployed(self, stack: str) -> Deployed:
        """Return a stack as it is."""

        def pulumi(arguments: Sequence[str]) -> str:
            done = self.capture(arguments, stack)
            if done.returncode != 0:
                raise SandboxError(f"pulumi {' '.join(arguments)} failed: {done.stderr.strip()}")
            return done.stdout

        return read(stack, pulumi)


@dataclass(frozen=True)
class Sandbox(Place):
    """The sandbox of this clone."""

    session: Session = field(default_factory=open_session)
    name: str = "sandbox"

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """See Place."""
        self.session.ensure_stack(stack)
        return self.session.capture(list(arguments), stack)

    def update(self, arguments: Sequence[str], stack: str) -> Outcome:
        """See Place."""
        self.session.ensure_stack(stack)
        status = self.session.run(list(arguments), stack)
        return Outcome(status, self.locked_by(stack) if status else "")

    def exists(self, stack: str) -> bool:
        """See Place."""
        return self.session.state_file(stack).exists()

    def locked_by(self, stack: str) -> str:
        """See Place."""
        return self.session.locked_by(stack)

    def next_steps(self, stack: str) -> list[str]:
        """See Place."""
        running = emulator.find(self.session.paths)
        return [
            f"The emulated AWS goes on running ({running.endpoint if running else '?'}, process {running.pid if running else '?'}).",
            f"Next: [bold]./infra preview {stack}[/bold] after a change, [bold]./infra pulumi stack --show-urns --stack {stack}[/bold] to look, [bold]./infra sandbox stop[/bold] to end it.",
        ]

    def queue_folder(self, stack: str) -> Path:
        """See Place."""
        return self.session.paths.base / "queue" / stack

    def aws(self, stack: str) -> dict[str, Any]:
        """See Place."""
        variables = self.session.variables(stack)
        for foreign in [name for name in os.environ if name.startswith("AWS_")]:  # boto3 would look at them beside what it is given
            os.environ.pop(foreign, None)
        os.environ.update({name: value for name, value in variables.items() if name.startswith("AWS_") or name.lower() == "no_proxy"})
        credentials = {"aws_access_key_id": account_of(stack), "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"]}
        return {**credentials, "region_name": variables["AWS_REGION"], "endpoint_url": variables["AWS_ENDPOINT_URL"]}


def own_pulumi() -> str:
    """Return the `pulumi` on PATH."""
    found = shutil.which("pulumi")
    if not found:
        raise SandboxError(
            "there is no pulumi on PATH, which `--on aws` uses as this shell is logged in: https://www.pulumi.com/docs/install/. Without `--on aws`, the sandbox is used"
        )
    return found


@dataclass(frozen=True)
class Shell(Place):
    """What this shell's own `pulumi` and AWS settings lead to: real AWS, for whoever is logged in there."""

    binary: str = field(default_factory=own_pulumi)
    name: str = "aws"

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """See Place."""
        assert stack
        command = [self.binary, *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=ROOT, env=shell_environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, umask=0o077)

    def update(self, arguments: Sequence[str], stack: str) -> Outcome:
        """See Place. Standard output stays this terminal's; standard error is passed on, and read for who has the lock."""
        assert stack
        process = subprocess.Popen([self.binary, *arguments], cwd=ROOT, env=shell_environment(), stderr=subprocess.PIPE, text=True, umask=0o077)
        lines = []
        with ctrl_c_is_for_the_child():  # Pulumi ends in its own good order, and frees its lock
            for line in process.stderr or ():
                sys.stderr.write(line)
                lines.append(line)
            status, told = process.wait(), "".join(lines)
        if not status or not LOCKED.search(told):
            return Outcome(status)
        holder = HOLDER.search(told)
        return Outcome(status, f"{holder[1]}, process {holder[2]}, since {holder[3]}" if holder else "another update")

    def exists(self, stack: str) -> bool:
        """See Place."""
        done = self.capture(["stack", "history", "--json", "--page-size", "1", "--stack", stack], stack)
        if done.returncode and "no stack named" not in done.stderr:
            raise SandboxError(f"the stack {stack} could not be looked at: {done.stderr.strip()}. Is this shell logged in (`pulumi whoami -v`)?")
        return done.returncode == 0

    def locked_by(self, stack: str) -> str:
        """See Place. Not to be known before one tries, on the backends of the real world."""
        del stack
        return ""

    def queue_folder(self, stack: str) -> Path:
        """See Place."""
        return user_cache() / "queue" / PROJECT / stack

    def aws(self, stack: str) -> dict[str, Any]:
        """See Place."""
        config = config_in(read_text(ROOT, stack), file_of(stack))
        found = {"region_name": config.get("aws:region"), "profile_name": config.get("aws:profile")}
        return {key: value for key, value in found.items() if value}


def shell_environment() -> dict[str, str]:
    """Return this shell's environment; plans are a preview feature of Pulumi's that some versions show only when asked."""
    return {**os.environ, "PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_UPDATE_CHECK": "1"}


def place_named(name: str) -> Place:
    """Return a place by what `--on` says."""
    if name == "sandbox":
        return Sandbox()
    if name == "aws":
        return Shell()
    raise typer.BadParameter(f"--on is {name!r}; it must be sandbox, or aws for the stacks that this shell's own pulumi is logged in to")


def checked(name: str, *stacks: str) -> Place:
    """Return a place, having made sure that each stack has its file: before anything is fetched."""
    for stack in stacks:
        stack_files.require(stack)
    return place_named(name)


def if_there(name: str) -> Place | None:
    """Return a place for looking only: None for a sandbox in which nothing has ever run, as a look fetches nothing."""
    return None if name == "sandbox" and not (default_paths().state / ".pulumi").exists() else place_named(name)


def parallel() -> list[str]:
    """Return how much Pulumi does at once."""
    return ["--parallel", str(PARALLEL)]
