"""`./infra check`: every problem of the environment files and of the promotion settings, without AWS or credentials."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import typer

from cli import secret_scan
from cli.exit_codes import ExitCode
from common.console import count, say
from services import all_services
from settings.check import check_folder
from settings.lifecycle import warnings
from settings.models import Settings
from settings.placeholders import placeholders
from settings.problems import Problem, SettingsError
from settings.project_files import environment_file, environment_files
from settings.promotion import read_promotion

FORMATS = ("text", "json", "github")


def check(folder: Path, output: str) -> int:
    """Print all problems in one of the FORMATS; fail if there are any."""
    if output not in FORMATS:
        say(f"--format must be text, json or github, but is `{output}`.")
        return ExitCode.USAGE
    environments, problems = all_problems(folder)
    today = datetime.now(UTC).date()
    ends = [warning for settings in environments.values() for warning in warnings(settings, today)]
    notes = list(example_notes(environments.values()))
    if output == "json":
        typer.echo(render_json(environments, problems, [*ends, *notes]))
    else:
        for warning in ends:
            typer.echo(
                f"::warning::{escape(warning)}" if output == "github" else f"warning: {warning}", err=output == "text"
            )
        for text in notes:
            typer.echo(f"::notice::{escape(text)}" if output == "github" else f"note: {text}", err=output == "text")
        for problem in problems:
            typer.echo(annotation(problem) if output == "github" else str(problem), err=output == "text")
        file_count = count(len(environment_files(folder)), "environment")
        typer.echo(f"{count(len(problems), 'problem')} in the files of {file_count}", err=bool(problems))
    return ExitCode.FAILED if problems else ExitCode.SUCCESS


def all_problems(folder: Path) -> tuple[dict[str, Settings], list[Problem]]:
    """Return the settings of each valid environment, and every problem, sorted.

    If a file in services/ is broken, only those files are reported: the environments are checked against them.
    """
    try:
        specs = all_services()
    except SettingsError as error:
        return {}, error.problems
    environments, problems = check_folder(folder, specs)
    return environments, sorted({*problems, *read_promotion(folder)[1], *secret_scan.problems(folder, environments)})


def example_notes(environments: Iterable[Settings]) -> Iterator[str]:
    """Yield a note about the files that contain examples, if there are any."""
    files = [environment_file(settings.name) for settings in environments if placeholders(settings)]
    if files:
        yield (
            f"example accounts or images in {', '.join(files)}: the sandbox accepts them, AWS would not. "
            "See docs/real-aws.md."
        )


def render_json(environments: Iterable[str], problems: Iterable[Problem], ends: Sequence[str]) -> str:
    """Return the result for other programs: the names of the valid environments, the problems, and the warnings."""
    result = {
        "environments": sorted(environments),
        "problems": [asdict(problem) for problem in problems],
        "warnings": list(ends),
    }
    return json.dumps(result, indent=1)


def annotation(problem: Problem) -> str:
    """Return a problem as a workflow command of GitHub Actions, which shows it beside the line in a pull request."""
    position = f"line={max(problem.line, 1)},col={max(problem.column, 1)}"
    return f"::error file={problem.file},{position}::{escape(f'{problem.path}: {problem.message}')}"


def escape(text: str) -> str:
    """Return a text as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
