"""`./infra lint`: style, types, and the workflows."""

import shutil
import subprocess
import sys
from pathlib import Path

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def lint(root: Path, *, fix: bool) -> int:
    """Run every check, also after one has failed; return the worst exit code."""
    python = [sys.executable, "-m"]
    commands = [
        [*python, "ruff", "check", "--quiet", *(["--fix"] if fix else []), "."],
        [*python, "ruff", "format", "--quiet", *([] if fix else ["--check"]), "."],
        [*python, "mypy"],
        [str(Path(sys.executable).parent / "zizmor"), "--offline", "--quiet", ".github/workflows"],
    ]
    if actionlint := shutil.which("actionlint"):
        commands.append([actionlint, "-no-color"])
    elif go := shutil.which("go"):
        commands.append([go, "run", ACTIONLINT, "-no-color"])
    else:
        sys.stderr.write("infra: the workflows are checked by zizmor only: neither actionlint nor go is on PATH\n")
    return max(abs(subprocess.run(command, cwd=root, check=False).returncode) for command in commands)  # a tool that was killed has a negative one
