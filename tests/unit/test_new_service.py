"""`./infra new service`: a service is one file and one block per environment, and changes nothing of the others."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.exit_codes import ExitCode
from cli.new import new_service
from services import all_services
from settings import scaffold
from settings.project_files import environment_file
from settings.scaffold import Obstacle
from tests.unit.conftest import ROOT, STACKS

PACKAGES = ("common", "components", "foundation", "services", "settings")
RUN_WITH_MOCKS = """
import json, runpy, sys
folder, root, environment = sys.argv[1:]
sys.path.insert(0, folder)
sys.path.append(root)
from ruamel.yaml import YAML
from mocks.aws import run
with open(f"{folder}/Pulumi.{environment}.yaml") as file:
    config = dict(YAML(typ="safe").load(file)["config"])
program = lambda: runpy.run_path(f"{folder}/__main__.py", run_name="__main__")
result = run(program, stack=environment, config=config)
print(json.dumps({urn: resource.inputs for urn, resource in result.resources.items()}, sort_keys=True, default=str))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the environment files and an empty folder for services."""
    for environment in STACKS:
        shutil.copy(ROOT / environment_file(environment), tmp_path)
    (tmp_path / "services").mkdir()
    return tmp_path


@pytest.fixture
def program(folder: Path) -> Path:
    """Return a folder with a copy of the whole program, without its tools."""
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(ROOT / "__main__.py", folder)
    return folder


def run_copy(folder: Path, environment: str) -> dict[str, dict[str, Any]]:
    """Run a copy of the program in its own process; return the inputs of every resource by URN."""
    command = [sys.executable, "-c", RUN_WITH_MOCKS, str(folder), str(ROOT), environment]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    inputs: dict[str, dict[str, Any]] = json.loads(result.stdout)
    return inputs


def test_a_new_service_changes_no_other_service(program: Path) -> None:
    """As docs/new-service.md says: existing text stays, and the service has all its resources once it is enabled."""
    texts = {name: (program / environment_file(name)).read_text(encoding="utf-8") for name in STACKS}
    before = run_copy(program, "alpha")
    paths = scaffold.new_service("reports", list(STACKS), program, [100, 200, 301, 400], sorted(all_services()))
    assert sorted(path.name for path in paths) == [*(environment_file(name) for name in STACKS), "reports.py"]
    for name in STACKS:
        assert (program / environment_file(name)).read_text(encoding="utf-8").startswith(texts[name])
    assert run_copy(program, "alpha") == before, "a disabled service must create nothing"

    alpha = program / environment_file("alpha")
    disabled, enabled = "    reports:\n      enabled: false", "    reports:\n      enabled: true"
    text = alpha.read_text(encoding="utf-8")
    assert disabled in text
    alpha.write_text(text.replace(disabled, enabled), encoding="utf-8")
    after = run_copy(program, "alpha")
    assert {urn: inputs for urn, inputs in after.items() if urn in before} == before
    new_names = {urn.rsplit("::", 1)[-1] for urn in after if urn not in before}
    expected_names = {
        "reports",
        "reports-database-instance",
        "reports-servers-group",
        "reports-servers-rule",
        "reports-record-a",
    }
    assert expected_names <= new_names
    assert all(name.startswith("reports") for name in new_names)


@pytest.mark.parametrize(
    ("name", "environments", "obstacle"),
    [
        ("Reports", ["alpha"], Obstacle.INVALID_NAME),
        ("averylongname", ["alpha"], Obstacle.NAME_TOO_LONG),
        ("core", ["alpha"], Obstacle.EXISTING_SERVICE),
        ("x", ["gamma"], Obstacle.MISSING_FILE),
        ("x", ["alpha", "gamma"], Obstacle.MISSING_FILE),
        ("x", ["alpha", "empty"], Obstacle.MISSING_KEY),
    ],
)
def test_a_service_that_cannot_be_written_changes_no_file(
    folder: Path, name: str, environments: list[str], obstacle: Obstacle
) -> None:
    """Either all files are written or none."""
    (folder / environment_file("empty")).touch()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(scaffold.CannotWriteError) as raised:
        scaffold.new_service(name, environments, folder, [], sorted(all_services()))
    assert raised.value.obstacle is obstacle
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_output_of_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The snapshot shows which files were written, and what is left to do."""
    assert new_service(folder, "reports", None) == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out == snapshot


@pytest.mark.parametrize(
    ("name", "environment"), [("Reports", "alpha"), ("averylongname", "alpha"), ("core", "alpha"), ("x", "gamma")]
)
def test_the_message_about_a_service_that_cannot_be_written(
    folder: Path, name: str, environment: str, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The snapshots show each obstacle as the user sees it."""
    assert new_service(folder, name, [environment]) == ExitCode.FAILED
    assert capsys.readouterr().err == snapshot


def test_the_files_of_a_new_service(folder: Path, snapshot: SnapshotAssertion) -> None:
    """The snapshot shows the spec, and the block in a small environment and in production."""
    before = {name: (folder / environment_file(name)).read_text(encoding="utf-8") for name in ("alpha", "prod")}
    *_, module = scaffold.new_service("reports", ["alpha", "prod"], folder, [100, 301], ["core"])
    blocks = {
        environment_file(name): (folder / environment_file(name)).read_text(encoding="utf-8").removeprefix(text)
        for name, text in before.items()
    }
    texts = {f"services/{module.name}": module.read_text(encoding="utf-8"), **blocks}
    assert "\n".join(f"--- {name}\n{text}" for name, text in texts.items()) == snapshot
