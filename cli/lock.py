"""`./infra lock`: writes the requirements files from their sources."""

import subprocess
import sys
from pathlib import Path

COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes")
LOCKS = (
    ("pyproject.toml", "-o", "requirements.txt"),
    ("pyproject.toml", "--group", "dev", "-o", "requirements-dev.txt"),
    ("sandbox/emulator/requirements.in", "-o", "sandbox/emulator/requirements.txt"),
)


def lock(root: Path) -> None:
    """Resolve every requirement again. --no-header: the header would contain paths of this machine."""
    for arguments in LOCKS:
        subprocess.run([sys.executable, "-m", *COMPILE, "--no-header", *arguments], cwd=root, check=True)
