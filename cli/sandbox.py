"""`./infra sandbox`: whether the emulator runs, stopping it, and deleting everything in the sandbox."""

import shutil
import sys

import typer

from cli.exit_codes import ExitCode
from common.console import count, say
from common.files import read_json
from sandbox.emulator import process as emulator
from sandbox.paths import Paths
from sandbox.session import default_paths, updating_processes


def status() -> int:
    """Print what runs, and what the sandbox contains."""
    paths = default_paths()
    rows = [("emulator", line) for line in emulator_status(paths)]
    tools = read_json(paths.tools)
    rows.append(("engine", f"{tools.get('version', 'not installed yet')} {tools.get('how', '')}".rstrip()))
    rows.append(("AWS provider", str(tools.get("provider", "not installed yet"))))
    for file in sorted((paths.state / ".pulumi" / "stacks").glob("*/*.json")):
        checkpoint = read_json(file).get("checkpoint")
        latest = checkpoint.get("latest") if isinstance(checkpoint, dict) else None
        resources = len(latest.get("resources") or []) if isinstance(latest, dict) else 0
        rows.append(("environment", f"{file.stem}: {count(resources, 'resource')}"))
    rows.append(("folder", str(paths.base)))
    for label, value in rows:
        typer.echo(f"{label:14} {value}")
    return 0


def emulator_status(paths: Paths) -> list[str]:
    """Return what there is to say about the emulator."""
    previous = read_json(emulator.process_file(paths)).get("pid")  # find() deletes the file of a dead process
    running = emulator.find(paths)
    if not running:
        if not previous:
            return ["not running"]
        return [f"not running: process {previous} ended or was killed. Its data is kept; the next `up` restarts it"]
    answers = emulator.answers(running)
    state = "running" if answers else "NOT answering; run `./infra sandbox stop`, then `./infra up` again"
    lines = [f"{running.endpoint}, process {running.pid} since {running.start_time}; {state}"]
    if running.code != emulator.code_version():
        lines.append("runs older code than this clone; the next `up` restarts it")
    return lines


def stop() -> int:
    """Stop the emulator."""
    stopped = emulator.stop(default_paths())
    typer.echo("The emulator is stopped. Its data is kept." if stopped else "The emulator was not running.")
    return 0


def reset(*, yes: bool) -> int:
    """Delete everything in the sandbox of this clone."""
    paths = default_paths()
    if not paths.base.exists():
        typer.echo("The sandbox is empty already.")
        return 0
    for stack, pid in updating_processes(paths).items():
        say(
            f"process {pid} is updating {stack}, and would go on creating resources that nobody knows. Nothing was "
            "deleted. Press Ctrl-C where it runs, or wait; then run the same command again."
        )
        return ExitCode.LOCKED
    if not yes:
        if not sys.stdin.isatty():
            say("this deletes every environment in this clone's sandbox. To confirm:\n  ./infra sandbox reset --yes")
            return ExitCode.FAILED
        typer.confirm(f"Delete every environment in {paths.base}?", abort=True)
    emulator.stop(paths)
    shutil.rmtree(paths.base)
    typer.echo("The sandbox is empty.")
    return 0
