"""`./infra test`: the unit tests in parallel, then the engine tests."""

import subprocess
import sys
from pathlib import Path

NOT_A_FULL_RUN = 6
WORKERS = {"tests/unit": "2", "tests/engine": "4"}  # the engine's tests mostly wait: for AWS's provider, which waits for AWS
NO_TESTS = 5  # pytest's own, when a selection matches none


def run(root: Path, which: str, options: list[str]) -> int:
    """Run the tests asked for; the exit code is pytest's, or 6 where the engine tests could not run."""
    folders = {"unit": ["tests/unit"], "engine": ["tests/engine"], "all": ["tests/unit", "tests/engine"]}
    if which not in folders:
        options, which = [which, *options], "all"
    results = []
    for folder in folders[which]:
        # A file's tests stay together: those on the environments build on each other.
        workers = [] if any(option.startswith(("-n", "--pdb", "-s")) for option in options) else ["-n", WORKERS[folder], "--dist", "loadfile"]
        results.append(subprocess.run([sys.executable, "-m", "pytest", folder, *workers, *options], cwd=root, check=False).returncode)
    return worst(results)


def worst(results: list[int]) -> int:
    """Return one exit code for several runs of pytest: a failure, or a death by a signal, before "not a full run", before "no tests"."""
    codes = [128 - code if code < 0 else code for code in results]
    failures = [code for code in codes if code not in {0, NO_TESTS, NOT_A_FULL_RUN}]
    if failures:
        return max(failures)
    if NOT_A_FULL_RUN in codes:
        return NOT_A_FULL_RUN
    return NO_TESTS if all(code == NO_TESTS for code in codes) else 0
