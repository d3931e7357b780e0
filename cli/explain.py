"""`./infra explain`: what a field of the configuration means."""

import typer

from cli.exit_codes import ExitCode
from common.console import say
from settings import reference


def explain(field: str) -> int:
    """Print a field's description, type, default and limits, and whether it is promoted."""
    try:
        typer.echo(reference.explain(field))
    except reference.UnknownFieldError as error:
        say(str(error))
        return ExitCode.FAILED
    return ExitCode.SUCCESS
