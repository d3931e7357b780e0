"""`./infra lint`: checks style, types, spelling, documents and workflows. CI and the pre-commit hook run it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cli import docs_lint
from common.console import say

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def lint(root: Path, *, fix: bool) -> int:
    """Run every check, even after one has failed, and return the highest exit code. fix: correct what can be."""
    # abs: the exit code of a tool that a signal ended is negative.
    codes = [abs(subprocess.run(command, cwd=root, check=False).returncode) for command in commands(fix=fix)]
    return max(*codes, docs_lint.check(root))


def commands(*, fix: bool) -> Iterator[list[str]]:
    """Yield the command of each external tool."""
    tools = Path(sys.executable).parent
    yield [str(tools / "ruff"), "check", "--quiet", *(["--fix"] if fix else []), "."]
    yield [str(tools / "ruff"), "format", "--quiet", *([] if fix else ["--check"]), "."]
    yield [sys.executable, "-m", "mypy"]
    yield [str(tools / "shellcheck"), "infra", ".ci/run"]
    yield [str(tools / "codespell"), *(["--write-changes"] if fix else [])]
    yield [str(tools / "zizmor"), "--offline", "--quiet", ".github"]
    if actionlint := shutil.which("actionlint"):
        yield [actionlint, "-no-color"]
    elif go := shutil.which("go"):
        yield [go, "run", ACTIONLINT, "-no-color"]
    else:
        say("neither actionlint nor go is on PATH, so only zizmor checks the workflows")
