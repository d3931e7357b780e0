"""Fixtures of the unit tests."""

import functools
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mocks.aws import Run, run
from release import journal
from tests.unit.mistakes import copy_samples
from tests.unit.release_builders import NOW, copy_release_samples, set_author

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("alpha", "beta", "prod")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-golden."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden files; review the difference before you commit it",
    )


@pytest.fixture(autouse=True)
def independent_of_this_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the events of the tests, of November 2026, count on any day, and keep locks out of this user's cache."""
    monkeypatch.setattr(journal, "current_time", lambda: NOW + timedelta(days=30))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def prod() -> Run:
    """Return what the program registers for prod."""
    return program_run("prod")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Return a folder with copies of the valid environment files in tests/unit/samples."""
    return copy_samples(tmp_path)


@pytest.fixture
def release_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the files of all environments, in which Kim works; alpha has newer releases."""
    set_author(monkeypatch)
    return copy_release_samples(tmp_path)


def config_of(stack: str) -> dict[str, Any]:
    """Return a stack's configuration from its file."""
    document = YAML(typ="safe").load(ROOT / f"Pulumi.{stack}.yaml")
    return dict(document["config"])


@functools.cache
def program_run(stack: str, *, preview: bool = False) -> Run:
    """Return what the program registers for a stack. The result is cached, because no test changes it."""
    return run(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        stack=stack,
        config=config_of(stack),
        preview=preview,
    )
