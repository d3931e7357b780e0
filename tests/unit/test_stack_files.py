"""The copies of the environment files that the engine reads in the sandbox."""

from pathlib import Path

import pytest

from common.errors import SandboxError
from sandbox import stack_files
from sandbox.paths import Paths

PROJECT = "name: 100xglobal\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n"
BETA = "secretsprovider: awskms://alias/x\nencryptedkey: abc\nconfig:\n  a: b\n"
SALT = "encryptionsalt: v1:sandbox\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a clone with the environment beta. The path of its folder contains a quote and spaces."""
    folder = tmp_path / "it's a clone"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT, encoding="utf-8")
    (folder / "Pulumi.beta.yaml").write_text(BETA, encoding="utf-8")
    return folder


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return the folders of an empty sandbox."""
    paths = Paths(tmp_path / ".sandbox")
    paths.create()
    return paths


def test_a_copy_has_the_sandboxs_salt_and_no_other_encryption_key(root: Path, paths: Paths) -> None:
    """The copy follows the clone's file and keeps the salt that Pulumi wrote into it. The clone's file is unchanged."""
    stack_files.refresh(paths, root)
    copy = paths.program / "Pulumi.beta.yaml"
    assert copy.read_text(encoding="utf-8") == "config:\n  a: b\n"
    copy.write_text(f"{copy.read_text(encoding='utf-8')}{SALT}", encoding="utf-8")
    changed = BETA.replace("a: b", "a: c")
    (root / "Pulumi.beta.yaml").write_text(changed, encoding="utf-8")
    stack_files.refresh(paths, root)
    assert copy.read_text(encoding="utf-8") == f"config:\n  a: c\n{SALT}"
    assert (root / "Pulumi.beta.yaml").read_text(encoding="utf-8") == changed


def test_the_copy_of_the_project_file_runs_the_clones_program(root: Path, paths: Paths) -> None:
    """`main` and `virtualenv` are absolute paths into the clone, as valid YAML."""
    stack_files.refresh(paths, root)
    project = (paths.program / "Pulumi.yaml").read_text(encoding="utf-8")
    quoted = str(root).replace("'", "''")
    assert f"main: '{quoted}'\n" in project
    assert f"    virtualenv: '{quoted}/.venv'\n" in project


def test_a_change_to_a_copy_is_reported(root: Path, paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    """A change that `pulumi config set` made in a copy is reported with the file to change instead; a salt is not."""
    stack_files.refresh(paths, root)
    copy = paths.program / "Pulumi.beta.yaml"
    copy.write_text(f"config:\n  a: b\n{SALT}", encoding="utf-8")
    stack_files.warn_about_changed_copies(paths, root)
    assert capsys.readouterr().err == ""
    copy.write_text(f"config:\n  a: changed\n{SALT}", encoding="utf-8")
    stack_files.warn_about_changed_copies(paths, root)
    assert str(root / "Pulumi.beta.yaml") in capsys.readouterr().err


def test_an_environment_without_a_file_is_refused(root: Path) -> None:
    """Only an environment that has a file is accepted, and no name that leads to another folder."""
    stack_files.require_environment_file("beta", root)
    for environment in ("prod", "", "Beta", "../beta", "beta/../beta"):
        with pytest.raises(SandboxError):
            stack_files.require_environment_file(environment, root)
