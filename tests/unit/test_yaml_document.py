"""Reading an environment file: whatever it contains, the result is values or problems, and never an exception."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import all_services
from settings.check import check_folder
from settings.project_files import environment_file
from settings.yaml_document import parse
from tests.unit.mistakes import UNUSABLE_FILES, UnusableFile


@pytest.mark.parametrize("unusable", UNUSABLE_FILES, ids=lambda unusable: f"{unusable.rule}-{unusable.content[:12]!r}")
def test_a_file_that_cannot_be_used_is_reported(samples: Path, unusable: UnusableFile) -> None:
    """Files that are empty, binary, huge, nested too deeply or not plain YAML are problems with a rule."""
    problems = unusable.problems(samples)
    assert problems
    assert unusable.rule in {None, *(problem.rule for problem in problems)}


def test_windows_line_ends_and_a_byte_order_mark_are_accepted(samples: Path) -> None:
    """Editors on Windows write them, and they change no value."""
    path = samples / environment_file("alpha")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_folder(samples, all_services())[1] == []


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_parsed_or_reported(text: str) -> None:
    """No text causes an exception."""
    document = parse(environment_file("alpha"), text)
    assert document.problems or isinstance(document.values, dict)
