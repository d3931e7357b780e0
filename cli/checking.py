"""`./infra check`: every problem of every environment's file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from components.spec import FrontDoorRoute
from services import all_services
from settings import Problem, check_folder, reference, scaffold
from settings.check import stack_files, stack_of


def check(folder: Path, output: str) -> int:
    """Print what is wrong; 1 where anything is."""
    if output not in {"text", "json", "github"}:
        sys.stderr.write(f"infra: --format is {output!r}; it must be text, json or github\n")
        return 2
    found, problems = check_folder(folder, all_services())
    if output == "json":
        typer.echo(json.dumps({"environments": sorted(found), "problems": [asdict(problem) for problem in problems]}, indent=1))
    elif output == "github":
        for problem in problems:
            typer.echo(annotation(problem))
    for problem in problems if output == "text" else []:
        typer.echo(str(problem), err=True)
    if output != "json":
        typer.echo(f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in the files of {len(list(folder.glob('Pulumi.*.yaml')))} environments", err=bool(problems))
    return 1 if problems else 0


def explain(field: str) -> int:
    """Print what a field means."""
    try:
        typer.echo(reference.explain(field))
    except reference.UnknownFieldError as error:
        sys.stderr.write(f"infra: {error}\n")
        return 1
    return 0


def new_service(folder: Path, name: str, environments: list[str] | None) -> int:
    """Write a new service and say what to do next."""
    specs = all_services()
    priorities = [spec.balancer.priority + len(spec.redirects) for spec in specs.values() if isinstance(spec.balancer, FrontDoorRoute)]
    stacks = environments or [stack_of(path) for path in stack_files(folder)]
    try:
        written = scaffold.new_service(name, stacks, folder, priorities, list(specs))
    except scaffold.CannotWriteError as error:
        sys.stderr.write(f"infra: {error}. Nothing was written.\n")
        return 1
    for path in written:
        typer.echo(f"wrote {path.relative_to(folder)}")
    typer.echo(f"next: say what is particular to it in services/{written[-1].name}, put its release in, set enabled: true where it should run, and ./infra check")
    return 0


def annotation(problem: Problem) -> str:
    """Return a problem as GitHub's workflow command."""
    text = f"{problem.path}: {problem.message}".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error file={problem.file},line={max(problem.line, 1)},col={max(problem.column, 1)}::{text}"
