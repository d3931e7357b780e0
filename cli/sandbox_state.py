"""The verbs about the sandbox itself."""

import shutil
import sys

import typer

from sandbox.emulator import process as emulator
from sandbox.paths import read_json
from sandbox.session import default_paths


def status() -> int:
    """Show what runs and what is held."""
    paths = default_paths()
    record = read_json(paths.emulator / "process.json")
    running = emulator.find(paths)
    if running:
        state = "answers" if emulator.answers(running) else "does NOT answer: `./infra sandbox stop`, then `./infra up` again"
        typer.echo(f"emulated AWS   {running.endpoint}, process {running.pid} since {running.started}; {state}")
        if running.code != emulator.code_version():
            typer.echo("               it runs older code than this clone's; the next `up` restarts it")
    elif record:
        typer.echo(f"emulated AWS   not running: process {record.get('pid')} ended by itself or was killed. Its state is kept; the next `up` starts it again")
    else:
        typer.echo("emulated AWS   not running")
    tools = read_json(paths.tools)
    typer.echo(f"engine         {tools.get('version', 'not there yet')} {tools.get('how', '')}".rstrip())
    typer.echo(f"AWS provider   {tools.get('provider', 'not there yet')}")
    stacks = sorted((paths.state / ".pulumi" / "stacks").glob("*/*.json")) if paths.state.exists() else []
    for file in stacks:
        checkpoint = read_json(file).get("checkpoint")
        latest = checkpoint.get("latest") if isinstance(checkpoint, dict) else None
        count = len(latest.get("resources") or []) if isinstance(latest, dict) else 0
        typer.echo(f"environment    {file.stem}: {count} resources")
    typer.echo(f"kept in        {paths.base}")
    return 0


def stop() -> int:
    """Stop the emulated AWS."""
    stopped = emulator.stop(default_paths())
    typer.echo("the emulated AWS is stopped; its state is kept" if stopped else "the emulated AWS was not running")
    return 0


def reset(*, yes: bool) -> int:
    """Forget everything."""
    paths = default_paths()
    if not paths.base.exists():
        typer.echo("there is no sandbox here")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            sys.stderr.write("infra: this forgets every environment of this clone's sandbox. Say so: ./infra sandbox reset --yes\n")
            return 1
        typer.confirm(f"Forget every environment in {paths.base}?", abort=True)
    emulator.stop(paths)
    shutil.rmtree(paths.base)
    typer.echo("the sandbox is empty")
    return 0
