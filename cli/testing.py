"""`./infra test`: the unit tests in parallel, then the engine tests."""

import subprocess
import sys
from pathlib import Path

NOT_A_FULL_RUN = 6


def run(root: Path, which: str, options: list[str]) -> int:
    """Run the tests asked for; the exit code is pytest's, or 6 where the engine tests could not run."""
    folders = {"unit": ["tests/unit"], "engine": ["tests/engine"], "all": ["tests/unit", "tests/engine"]}
    if which not in folders:
        options, which = [which, *options], "all"
    status = 0
    for folder in folders[which]:
        # A file's tests stay together: those on the environments build on each other.
        workers = [] if any(option.startswith(("-n", "--pdb", "-s")) for option in options) else ["-n", "2", "--dist", "loadfile"]
        done = subprocess.run([sys.executable, "-m", "pytest", folder, *workers, *options], cwd=root, check=False)
        status = max(status, done.returncode)
    return status
