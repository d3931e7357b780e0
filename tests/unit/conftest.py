"""Fixtures of the unit tests."""

import functools
import runpy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.unit.mocked import Run, run

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("alpha", "beta", "prod")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-golden."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; look at the difference before committing it")


def config_of(stack: str) -> dict[str, Any]:
    """Return a stack's configuration as its file holds it."""
    document = YAML(typ="safe").load(ROOT / f"Pulumi.{stack}.yaml")
    return dict(document["config"])


@functools.cache
def program_run(stack: str, *, preview: bool = False) -> Run:
    """Return what the whole program registers for a stack; run once, as tests only look."""
    return run(lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack=stack, config=config_of(stack), preview=preview)
