"""`./infra test`: runs the unit tests, then the engine tests."""

import subprocess
import sys
from pathlib import Path

from cli.exit_codes import ExitCode

FOLDERS = {"unit": ["tests/unit"], "engine": ["tests/engine"], "all": ["tests/unit", "tests/engine"]}
# The engine tests mostly wait for the AWS provider, which waits for AWS: more workers than cores pay off.
WORKERS = {"tests/unit": "2", "tests/engine": "4"}
NO_TESTS_SELECTED = 5  # pytest's own exit code
OWN_PROCESS_OPTIONS = ("-n", "--pdb", "-s")  # options that do not go together with workers of our choice


def run(root: Path, which: str, options: list[str]) -> int:
    """Run the tests. The exit code is pytest's, or 6 if the engine tests could not run."""
    if which not in FOLDERS:
        options, which = [which, *options], "all"
    has_own = any(option.startswith(OWN_PROCESS_OPTIONS) for option in options)
    results = []
    for folder in FOLDERS[which]:
        # A file's tests stay together: those that deploy environments build on each other.
        workers = [] if has_own else ["-n", WORKERS[folder], "--dist", "loadfile"]
        command = [sys.executable, "-m", "pytest", folder, *workers, *options]
        results.append(subprocess.run(command, cwd=root, check=False).returncode)
    return worst(results)


def worst(results: list[int]) -> int:
    """Return one exit code for several runs of pytest.

    A failure or a death by a signal comes before "incomplete", and that before "no tests selected".
    """
    codes = [128 - code if code < 0 else code for code in results]
    failures = [code for code in codes if code not in {0, NO_TESTS_SELECTED, ExitCode.INCOMPLETE_TEST_RUN}]
    if failures:
        return max(failures)
    if ExitCode.INCOMPLETE_TEST_RUN in codes:
        return ExitCode.INCOMPLETE_TEST_RUN
    return NO_TESTS_SELECTED if all(code == NO_TESTS_SELECTED for code in codes) else 0
