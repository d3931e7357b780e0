"""`./infra check`: every problem of every environment's file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from services import all_services
from settings import Problem, check_folder


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


def annotation(problem: Problem) -> str:
    """Return a problem as GitHub's workflow command."""
    text = f"{problem.path}: {problem.message}".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error file={problem.file},line={max(problem.line, 1)},col={max(problem.column, 1)}::{text}"
