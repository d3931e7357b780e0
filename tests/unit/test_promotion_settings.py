"""The promotion path and its soak times in Pulumi.yaml: mistakes are reported like those in environment files."""

import shutil
from pathlib import Path

import pytest

from settings.problems import Rule, SettingsError
from settings.project_files import PROJECT_FILE
from settings.promotion import Promotion, load_promotion, read_promotion
from tests.unit.conftest import ROOT

PATH = "path: [alpha, beta, prod]"
SOAK = "soak_minutes: {alpha: 60, beta: 1440}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a copy of the project's file."""
    shutil.copy(ROOT / PROJECT_FILE, tmp_path)
    return tmp_path


def test_the_committed_settings_have_no_problem(folder: Path) -> None:
    """Releases move through the environments that have a file, in order."""
    promotion, problems = read_promotion(folder)
    assert problems == []
    assert promotion == Promotion(path=["alpha", "beta", "prod"], soak_minutes={"alpha": 60, "beta": 1440})


@pytest.mark.parametrize(
    ("old", "new", "path", "rule"),
    [
        ("    default:", "    defaults:", "promotion", Rule.WRONG_TYPE),
        (PATH, "path: []", "promotion.path", Rule.WRONG_LENGTH),
        (PATH, "path: [alpha, beta, Prod]", "promotion.path[2]", Rule.INVALID_FORMAT),
        (PATH, "path: [alpha, alpha, prod]", "promotion", Rule.DUPLICATE_ITEM),
        (PATH, "paths: [alpha, beta, prod]", "promotion.paths", Rule.UNKNOWN_KEY),
        (PATH, "paths: [alpha, beta, prod]", "promotion.path", Rule.MISSING_KEY),
        (SOAK, "soak_minutes: {alpha: 60}", "promotion", Rule.INVALID_VALUE),
        (SOAK, "soak_minutes: {alpha: 60, beta: 1440, prod: 1}", "promotion", Rule.INVALID_VALUE),
        (SOAK, "soak_minutes: {alpha: -1, beta: 1440}", "promotion.soak_minutes.alpha", Rule.OUT_OF_RANGE),
        (SOAK, "soak_minutes: {alpha: 60, beta: 43201}", "promotion.soak_minutes.beta", Rule.OUT_OF_RANGE),
        (SOAK, "soak_minutes: {alpha: 1.5, beta: 1440}", "promotion.soak_minutes.alpha", Rule.WRONG_TYPE),
        (SOAK, "soak_minutes: [", "", Rule.INVALID_YAML),
    ],
)
def test_a_mistake_is_reported_with_its_rule_and_position(
    folder: Path, old: str, new: str, path: str, rule: Rule
) -> None:
    """A problem names the broken rule, the line and the path of the key, and the settings cannot be used."""
    file = folder / PROJECT_FILE
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    promotion, problems = read_promotion(folder)
    assert promotion is None
    matches = [problem for problem in problems if (problem.path, problem.rule) == (path, rule)]
    assert matches, problems
    assert matches[0].file == PROJECT_FILE
    assert matches[0].line > 0
    with pytest.raises(SettingsError) as raised:
        load_promotion(folder)
    assert raised.value.problems == sorted(problems)


def test_a_missing_project_file_is_reported(tmp_path: Path) -> None:
    """Without Pulumi.yaml there is no promotion path, and nothing is promoted by a default that nobody chose."""
    with pytest.raises(SettingsError) as raised:
        load_promotion(tmp_path)
    assert [problem.rule for problem in raised.value.problems] == [Rule.UNREADABLE_FILE]
