"""The note of an update that this machine has begun."""

from pathlib import Path

import pytest

from cli import attempts


def test_an_update_is_noted_while_it_runs(tmp_path: Path) -> None:
    """The note is private, and gone afterwards, also if the update failed."""
    with attempts.noted(tmp_path / "alpha", {"a": 1}, was_empty=True):
        note = attempts.find(tmp_path / "alpha")
        assert note is not None
        assert (note.config, note.was_empty) == ({"a": 1}, True)
        assert (tmp_path / "alpha" / attempts.FILE).stat().st_mode & 0o077 == 0
    assert attempts.find(tmp_path / "alpha") is None
    with pytest.raises(ValueError, match="failed"), attempts.noted(tmp_path, {}, was_empty=False):
        raise ValueError("failed")
    assert attempts.find(tmp_path) is None


def test_a_killed_first_update_stays_the_first(tmp_path: Path) -> None:
    """The second attempt finds resources, but all of them are the first one's."""
    with attempts.noted(tmp_path, {"a": 1}, was_empty=True):
        first = attempts.find(tmp_path)
        with attempts.noted(tmp_path, {"a": 2}, was_empty=False):
            second = attempts.find(tmp_path)
    assert first is not None
    assert second is not None
    assert (second.started, second.config, second.was_empty) == (first.started, {"a": 2}, True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 1}'])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    """A note is written at once or not at all; anything else is not from here."""
    (tmp_path / attempts.FILE).write_text(text, encoding="utf-8")
    assert attempts.find(tmp_path) is None
