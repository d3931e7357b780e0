"""The command line: its help, and the exit code of `./infra test`."""

import subprocess
import sys
from typing import Any

import pytest
import typer.main
from rich.text import Text
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from cli import test as test_command
from cli.app import app
from cli.exit_codes import ExitCode
from tests.unit.conftest import ROOT

HEAVY_PACKAGES = ("pulumi", "pulumi_aws", "pydantic", "ruamel.yaml", "grpc")


def command_paths(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of a command, and of every command in it if it is a group."""
    children = getattr(command, "commands", {})
    return [path, *(words for name, child in children.items() for words in command_paths(child, (*path, name)))]


# `./infra pulumi --help` shows Pulumi's own help.
COMMANDS = [path for path in command_paths(typer.main.get_command(app)) if path != ("pulumi",)]


def test_help_does_not_import_heavy_packages() -> None:
    """`./infra --help` answers at once, because it imports none of the packages that take long to load."""
    code = f"import sys, cli.app; print([name for name in {HEAVY_PACKAGES!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: tuple[str, ...], snapshot: SnapshotAssertion) -> None:
    """Every command has a help text that says what it does."""
    result = CliRunner().invoke(app, [*command, "--help"], prog_name="./infra", env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert len(result.output) > 150
    lines = Text.from_ansi(result.output).plain.splitlines()
    assert "\n".join(line.rstrip() for line in lines) == snapshot


@pytest.mark.parametrize(
    ("results", "code"),
    [([0, 0], 0), ([0, 1], 1), ([1, 6], 1), ([0, 6], 6), ([5, 0], 0), ([5, 5], 5), ([0, -9], 137), ([6, -11], 139)],
)
def test_a_failed_test_run_is_not_hidden_by_another_result(results: list[int], code: int) -> None:
    """A failure or a killed pytest comes first, then an incomplete run, then "no tests selected"."""
    assert test_command.worst(results) == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["history", "membres"],
        ["status", "membres"],
        ["hold", "membres", "1.0.0"],
        ["promote", "membres", "--from", "alpha", "--to", "beta"],
        ["rollback", "membres", "beta"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_misspelled_service_is_refused_with_the_nearest_name(arguments: list[str]) -> None:
    """Every command that takes a service does this, before it does anything else."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == ExitCode.USAGE
    assert "there is no service membres. Did you mean `members`?" in Text.from_ansi(result.output).plain
