"""The two backends where stacks live: this clone's sandbox, and wherever this shell's own `pulumi` is logged in."""

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

from cli import attempts
from common.errors import InfraError
from common.files import ROOT, user_cache
from release import stack_state
from release.environment_file import config_in, read_text
from release.gate import backend_option
from release.journal import SANDBOX
from release.stack_state import StackState
from release.unfinished import with_attempt
from sandbox import stack_files
from sandbox.emulator import process as emulator
from sandbox.session import (
    PARALLEL,
    Session,
    account_of,
    default_paths,
    forward_interrupts_to_child,
    open_session,
)
from settings.project_files import PROFILE_KEY, PROJECT, REGION_KEY, environment_file

AWS = "aws"
LOCK_ERRORS = re.compile(r"currently locked by|Another update is currently in progress|\[409\] Conflict")
LOCK_HOLDER = re.compile(r"created by (\S+) \(pid (\d+)\) at (\S+)")
PRIVATE_UMASK = 0o077  # plans and checkpoints can contain secrets


@dataclass(frozen=True)
class CommandResult:
    """How a Pulumi command ended. locked_by: who had locked the stack, if that is why it failed."""

    exit_code: int
    locked_by: str = ""


class Backend(ABC):
    """Where stacks live, and how to run Pulumi on them."""

    name: str

    @property
    def suffix(self) -> str:
        """The option that makes one of our commands act on this backend; empty for the default."""
        return backend_option(self.name)

    @property
    def pulumi(self) -> str:
        """How a user calls plain Pulumi on this backend."""
        return "./infra pulumi" if self.name == SANDBOX else "pulumi"

    @abstractmethod
    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command and return its output."""

    @abstractmethod
    def run(self, arguments: Sequence[str], stack: str) -> CommandResult:
        """Run a Pulumi command on this terminal."""

    @abstractmethod
    def exists(self, stack: str) -> bool:
        """Tell whether the stack exists."""

    @abstractmethod
    def locked_by(self, stack: str) -> str:
        """Return who is updating the stack, as far as that can be known without trying; empty for nobody.

        Locks of dead processes are removed.
        """

    @abstractmethod
    def queue_folder(self, stack: str) -> Path:
        """Return the folder of the queue for the stack."""

    @abstractmethod
    def memory_folder(self, stack: str) -> Path:
        """Return the folder in which this machine notes what it deployed to the stack: releases and the program."""

    @abstractmethod
    def configuration_file(self, folder: Path, stack: str) -> Path:
        """Return the file from which Pulumi reads the stack's configuration and encryption settings."""

    @abstractmethod
    def aws_session(self, stack: str) -> dict[str, Any]:
        """Return the arguments of boto3's Session for the stack's account; `endpoint_url` is the emulator's, if any."""

    def next_steps(self, stack: str) -> list[str]:
        """Return suggestions for after an `up`."""
        del stack
        return ["Next: [bold]./infra status --on aws[/bold]"]

    def state(self, stack: str) -> StackState:
        """Return what is deployed in a stack. An update of this machine's that was killed counts as failed."""

        def run_pulumi(arguments: Sequence[str]) -> str:
            done = self.capture(arguments, stack)
            if done.returncode != 0:
                raise InfraError(f"`{self.pulumi} {' '.join(arguments)}` failed:\n{done.stderr.strip()}")
            return done.stdout

        deployed = stack_state.read(stack, run_pulumi)
        attempt = attempts.find(self.memory_folder(stack))
        return with_attempt(deployed, attempt) if attempt else deployed


@dataclass(frozen=True)
class SandboxBackend(Backend):
    """The sandbox of this clone."""

    session: Session = field(default_factory=open_session)
    name: str = SANDBOX

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command in the sandbox and return its output."""
        self.session.ensure_stack(stack)
        return self.session.capture(list(arguments), stack)

    def run(self, arguments: Sequence[str], stack: str) -> CommandResult:
        """Run a Pulumi command in the sandbox, on this terminal."""
        self.session.ensure_stack(stack)
        exit_code = self.session.run(list(arguments), stack)
        return CommandResult(exit_code, self.locked_by(stack) if exit_code else "")

    def exists(self, stack: str) -> bool:
        """Tell whether the sandbox has state for the stack."""
        return self.session.state_file(stack).exists()

    def locked_by(self, stack: str) -> str:
        """Return which process is updating the stack."""
        return self.session.locked_by(stack)

    def next_steps(self, stack: str) -> list[str]:
        """Return what to try next in the sandbox."""
        running = emulator.find(self.session.paths)
        where = f"{running.endpoint}, process {running.pid}" if running else "stopped"
        return [
            f"The emulator keeps running ({where}). To stop it: [bold]./infra sandbox stop[/bold]",
            f"After a change: [bold]./infra preview {stack}[/bold]",
            f"To look around: [bold]./infra pulumi stack --show-urns --stack {stack}[/bold]",
        ]

    def queue_folder(self, stack: str) -> Path:
        """Return the queue's folder inside the sandbox."""
        return self.session.paths.base / "queue" / stack

    def memory_folder(self, stack: str) -> Path:
        """Return a folder inside the sandbox."""
        return self.session.paths.base / "deployed" / stack

    def configuration_file(self, folder: Path, stack: str) -> Path:
        """Return the sandbox's copy of the environment's file."""
        del folder
        return self.session.paths.program / environment_file(stack)

    def aws_session(self, stack: str) -> dict[str, Any]:
        """Return boto3's arguments for the emulator.

        This shell's own AWS settings are removed from the environment, because boto3 would also read them.
        """
        variables = self.session.variables(stack)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            os.environ.pop(name, None)
        relevant = {name for name in variables if name.startswith("AWS_") or name.lower() == "no_proxy"}
        os.environ.update({name: variables[name] for name in relevant})
        return {
            "aws_access_key_id": account_of(stack),
            "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
            "region_name": variables["AWS_REGION"],
            "endpoint_url": variables["AWS_ENDPOINT_URL"],
        }


def pulumi_on_path() -> str:
    """Return the path of this shell's own `pulumi`."""
    binary = shutil.which("pulumi")
    if not binary:
        raise InfraError(
            "pulumi is not on PATH, and `--on aws` needs it. Install it (https://www.pulumi.com/docs/install/), "
            "or leave out `--on aws` to use the sandbox."
        )
    return binary


@dataclass(frozen=True)
class AwsBackend(Backend):
    """The stacks that this shell's own `pulumi` and AWS settings lead to."""

    binary: str = field(default_factory=pulumi_on_path)
    name: str = AWS

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Run this shell's `pulumi` and return its output. The arguments name the stack themselves."""
        del stack
        return subprocess.run(
            [self.binary, *arguments, "--non-interactive"],
            cwd=ROOT,
            env=shell_environment(),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            umask=PRIVATE_UMASK,
        )

    def run(self, arguments: Sequence[str], stack: str) -> CommandResult:
        """Run this shell's `pulumi` on this terminal. Its errors are passed on, and searched for who holds the lock."""
        del stack
        command = [self.binary, *arguments]
        environment = shell_environment()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, umask=PRIVATE_UMASK
        )
        lines = []
        with forward_interrupts_to_child(process):  # Pulumi shuts down cleanly and releases its lock
            for line in process.stderr or ():
                sys.stderr.write(line)
                lines.append(line)
            exit_code, errors = process.wait(), "".join(lines)
        if not exit_code or not LOCK_ERRORS.search(errors):
            return CommandResult(exit_code)
        holder = LOCK_HOLDER.search(errors)
        return CommandResult(exit_code, f"{holder[1]}, process {holder[2]}, since {holder[3]}" if holder else "someone")

    def exists(self, stack: str) -> bool:
        """Tell whether the stack exists where this shell is logged in."""
        done = self.capture(["stack", "history", "--json", "--page-size", "1", "--stack", stack], stack)
        if done.returncode and "no stack named" not in done.stderr:
            raise InfraError(
                f"the stack {stack} cannot be read: {done.stderr.strip()}\nCheck where this shell is logged in:\n"
                "  pulumi whoami -v"
            )
        return done.returncode == 0

    def locked_by(self, stack: str) -> str:
        """Return nothing: the lock of a remote backend is only known by trying."""
        del stack
        return ""

    def queue_folder(self, stack: str) -> Path:
        """Return a folder that all clones of this user share."""
        return user_cache() / "queue" / PROJECT / stack

    def memory_folder(self, stack: str) -> Path:
        """Return a folder that all clones of this user share."""
        return user_cache() / "deployed" / PROJECT / stack

    def configuration_file(self, folder: Path, stack: str) -> Path:
        """Return the environment's file."""
        return folder / environment_file(stack)

    def aws_session(self, stack: str) -> dict[str, Any]:
        """Return boto3's arguments from the environment's file; everything else comes from this shell."""
        config = config_in(read_text(ROOT, stack), environment_file(stack))
        arguments = {"region_name": config.get(REGION_KEY), "profile_name": config.get(PROFILE_KEY)}
        return {key: value for key, value in arguments.items() if value}


def shell_environment() -> dict[str, str]:
    """Return this shell's environment, with what Pulumi needs to offer update plans and logs of events."""
    offered = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_DEBUG_COMMANDS": "true"}
    return {**os.environ, **offered, "PULUMI_SKIP_UPDATE_CHECK": "1"}


def backend_named(name: str) -> Backend:
    """Return the backend that `--on` selects."""
    if name == SANDBOX:
        return SandboxBackend()
    if name == AWS:
        return AwsBackend()
    raise typer.BadParameter(
        f"--on is {name!r}. Use sandbox, or aws for the stacks that this shell's own pulumi is logged in to"
    )


def backend_for(name: str, *stacks: str) -> Backend:
    """Return a backend after checking that every stack has a file, before anything is downloaded."""
    for stack in stacks:
        stack_files.require_environment_file(stack)
    return backend_named(name)


def existing_backend(name: str) -> Backend | None:
    """Return a backend for commands that only look, or None for a sandbox that was never used.

    Such a command should not install anything.
    """
    is_unused = name == SANDBOX and not (default_paths().state / ".pulumi").exists()
    return None if is_unused else backend_named(name)


def parallel_option() -> list[str]:
    """Return Pulumi's option for how many operations run at the same time."""
    return ["--parallel", str(PARALLEL)]
