"""Secrets that only a library knows: `./infra check` finds them in the values of environment variables."""

from pathlib import Path

import pytest

from cli import secret_scan
from cli.check import check
from cli.exit_codes import ExitCode
from services import all_services
from settings.check import check_folder
from settings.problems import Rule
from tests.unit.mistakes import SIGN_UP, replace_once


@pytest.mark.parametrize(
    "value",
    [
        "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
        "SG." + "a1B2c3D4e5F6g7H8i9J0a1" + "." + "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8i9J0a1B",
        "//registry.npmjs.org/:_authToken=" + "0a1b2c3d-0a1b-4c2d-8e3f-0a1b2c3d4e5f",
    ],
    ids=["GitLab", "SendGrid", "npm"],
)
def test_a_secret_is_reported_at_its_variable(samples: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The problem has the position of the variable, and does not repeat its value."""
    replace_once(samples, "alpha", SIGN_UP, f'{{X: "{value}"}}')
    (problem,) = secret_scan.problems(samples, check_folder(samples, all_services())[0])
    assert (problem.file, problem.rule) == ("Pulumi.alpha.yaml", Rule.LOOKS_LIKE_A_SECRET)
    assert problem.path.endswith("environment_variables.X")
    assert problem.line
    assert check(samples, "text") == ExitCode.FAILED
    assert value not in str(problem) + capsys.readouterr().err


@pytest.mark.parametrize(
    "value", ["open", "10.0.0.1", "https://example.com/a?b=c", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", ""]
)
def test_what_only_looks_random_is_accepted(value: str) -> None:
    """Addresses, digests and ids are no secrets."""
    assert not secret_scan.is_secret(value)
