"""Scripts that stand in for programs, so that tests need neither a network nor the real tools."""

from pathlib import Path


def write_executable(path: Path, text: str) -> None:
    """Write a file that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
