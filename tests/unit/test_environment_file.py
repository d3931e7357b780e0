"""Environment files: reading releases from them, and refusing what cannot be read or replaced."""

from pathlib import Path

import pytest

from release.environment_file import read_text, with_release
from release.errors import RefusedError, Rule
from release.promote import Request
from settings.project_files import environment_file
from tests.unit.release_builders import edit_file, files_below, promote_release, read_file, state_of_file

REQUEST = Request("members", "alpha", "beta")


@pytest.mark.parametrize("stack", ["alpha", "beta"])
@pytest.mark.parametrize(
    "text",
    [
        "config: [",
        "<<<<<<< HEAD\nconfig: {}\n",
        "just words",
        "config:\n  a: 1\n  a: 2\n",
    ],
    ids=["no YAML", "a merge conflict", "no map", "a key twice"],
)
def test_a_file_that_cannot_be_read_refuses_a_promotion(release_folder: Path, text: str, stack: str) -> None:
    """The promotion is refused without a traceback, and nothing is written."""
    state = state_of_file(release_folder, "alpha")
    (release_folder / environment_file(stack)).write_text(text, encoding="utf-8")
    before = files_below(release_folder)
    with pytest.raises(RefusedError) as error:
        promote_release(release_folder, REQUEST, state)
    assert error.value.rules == {Rule.INVALID_FILE}
    assert files_below(release_folder) == before


def test_a_file_that_is_not_utf_8_is_refused(release_folder: Path) -> None:
    """An editor with another encoding does not end in a traceback."""
    path = release_folder / environment_file("alpha")
    path.write_bytes(path.read_bytes() + b"# \xe9\n")
    with pytest.raises(RefusedError) as error:
        promote_release(release_folder, REQUEST, state_of_file(release_folder, "beta"))
    assert error.value.rules == {Rule.INVALID_FILE}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """An environment without a file has no text to read."""
    with pytest.raises(RefusedError) as error:
        read_text(tmp_path, "gamma")
    assert error.value.rules == {Rule.MISSING_FILE}


def test_a_release_with_an_anchor_is_refused(release_folder: Path) -> None:
    """Its block has no meaning outside its file."""
    text = read_file(release_folder, "alpha").replace("machine_image: ami", "machine_image: &ami ami", 1)
    text = text.replace("machine_image: ami-0123456789abcdef0", "machine_image: *ami")
    state = state_of_file(release_folder, "beta")
    (release_folder / environment_file("alpha")).write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError) as error:
        promote_release(release_folder, REQUEST, state)
    assert error.value.rules == {Rule.INVALID_BLOCK}


def test_a_replacement_that_would_change_anything_else_is_refused(release_folder: Path) -> None:
    """Lines that only look like the services, here in a description, are never changed by accident."""
    block = "      release:\n        version: 2.0.0\n"
    lines = "  100xglobal:services:\n    members:\n      release:\n        version: 1.0.0\n"
    edit_file(release_folder, "beta", "config:\n", f"description: |\n{lines}config:\n")
    with pytest.raises(RefusedError) as error:
        with_release(read_file(release_folder, "beta"), "members", block, "beta")
    assert error.value.rules == {Rule.INVALID_BLOCK}
