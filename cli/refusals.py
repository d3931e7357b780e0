"""How the commands report that something was refused, and show a release that was moved."""

import difflib

import typer

from cli.exit_codes import ExitCode
from common.console import say
from common.errors import InfraError
from release.errors import RefusedError
from release.promote import Move
from settings.project_files import environment_file


def report_refusal(error: InfraError) -> int:
    """Print every reason for a refusal."""
    messages = [refusal.message for refusal in error.refusals] if isinstance(error, RefusedError) else [str(error)]
    items = "".join(f"  - {message.replace(chr(10), f'{chr(10)}    ')}\n" for message in messages)
    say(f"refused; nothing was changed:\n{items}".rstrip())
    return ExitCode.FAILED


def show_move(move: Move, environment: str) -> None:
    """Print how a file changed, and notes about the release."""
    file = environment_file(environment)
    before, after = (text.splitlines(keepends=True) for text in (move.before, move.after))
    lines = difflib.unified_diff(before, after, file, file)
    typer.echo("".join(line if line.endswith("\n") else f"{line}\n" for line in lines), nl=False)
    for note in move.notes:
        typer.echo(f"note: {note}")
