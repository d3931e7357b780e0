"""`./infra test`: the unit tests in parallel, then the engine tests."""

import subprocess
import sys
from pathlib import Path

NOT_A_FULL_RUN = 6
FAILED_TO_START_ENGINE = "engine tests did not run"


def run(root: Path, which: str, options: list[str]) -> int:
    """Run the tests asked for; the exit code is pytest's, or 6 where the engine tests could not run."""
    folders = {"unit": ["tests/unit"], "engine": ["tests/engine"], "all": ["tests/unit", "tests/engine"]}
    if which not in folders:
        options, which = [which, *options], "all"
    status = 0
    for folder in folders[which]:
        workers = ["-n", "2"] if folder == "tests/unit" and not any(option.startswith(("-n", "-k", "--pdb", "-s")) for option in options) else []
        done = subprocess.run([sys.executable, "-m", "pytest", folder, *workers, *options], cwd=root, check=False)
        status = max(status, done.returncode)
    return status
