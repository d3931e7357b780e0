"""common.files: files that are written whole or not at all."""

from pathlib import Path

import pytest

from common.errors import InfraError
from common.files import write_private


def test_a_file_that_cannot_be_written_keeps_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, the file keeps its content, no temporary file stays, and only the owner can read the file."""
    target = tmp_path / "file"
    write_private(target, "before")

    def replace(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(InfraError, match="No space left"):
        write_private(target, "after")
    assert target.read_text(encoding="utf-8") == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.stat().st_mode & 0o077 == 0
