"""`./infra sign-off`: accepts one finding of the gate for one resource until a date."""

from datetime import timedelta
from pathlib import Path

import typer

from cli.gate import clock
from cli.refusals import report_refusal
from common.errors import InfraError
from release import journal, sign_offs


def sign_off(folder: Path, urn: str, rule: str, reason: str, days: int) -> int:
    """Write a sign-off. days: how long it is valid."""
    try:
        expires = clock().date() + timedelta(days=days)
        entry = {"urn": urn, "rule": rule, "reason": reason, "by": journal.author(folder), "expires": expires}
        path = sign_offs.write(folder, sign_offs.parse(entry, "sign-off"))
    except InfraError as error:
        return report_refusal(error)
    typer.echo(f"Wrote {path.relative_to(folder)}. Commit it, so that others can see what was accepted.")
    return 0
