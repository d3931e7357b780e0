"""The program that deployed an environment: kept on this machine, or found in git."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from cli import deployed_program
from cli.deployed_program import NOT_THE_PROGRAM, Program, belongs_to_program, current, find, is_declaration
from common.errors import InfraError
from release.stack_state import StackState, Update
from services import all_services
from settings.project_files import PROJECT_FILE
from tests.unit.conftest import ROOT, config_of
from tests.unit.fake_backend import FakeBackend
from tests.unit.release_builders import NOW, Clock, copy_release_samples, make_state
from tests.unit.test_architecture import ALLOWED, MAIN

FILES = {
    "__main__.py": b"import components\n",
    "components/__init__.py": b"SIZE = 4\n",
    "services/members.py": b"SERVICE = 1\n",
    "requirements.txt": b"pulumi==1\n",
    PROJECT_FILE: b"name: 100xglobal\nruntime:\n  options:\n    virtualenv: .venv\n",
}
OTHERS = {
    "cli/app.py": b"",
    "components/__pycache__/__init__.pyc": b"",
    "README.md": b"",
    ".venv/lib/site.py": b"",
}
DECLARATION = b'''"""Chat."""

from settings.service_spec import Cdn, ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="chat",
    host="chat",
    balancer=SharedLoadBalancerRule(priority=450),
    redirects=("www", "talk"),
    cdn=Cdn(host="f"),
)
'''


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.fixture
def backend(tmp_path: Path) -> FakeBackend:
    """Return a backend with a program in its folder, besides the files of the environments."""
    backend = FakeBackend(copy_release_samples(tmp_path), Clock())
    write(backend.folder, {**FILES, **OTHERS})
    return backend


def deployed_at(seconds: float = 0, commit: str = "", *, is_dirty: bool = False) -> StackState:
    """Return the state of beta after an update at a time, from a commit."""
    at = NOW + timedelta(seconds=seconds)
    return make_state(Update("update", "succeeded", at, config_of("beta"), commit, is_dirty))


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    identity = ("-c", "user.name=Kim", "-c", "user.email=kim@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit_all(folder: Path) -> str:
    """Commit everything in a folder and return the commit."""
    git(folder, "init", "-q")
    git(folder, "add", "--force", "components", "cli", *(path for path in FILES if "/" not in path), "services")
    git(folder, "commit", "-qm", "program")
    return git(folder, "rev-parse", "HEAD")


# --- which files


def test_the_program_is_what_it_can_import(backend: FakeBackend) -> None:
    """Neither the command line nor documents, environments, caches and installed packages belong to it."""
    assert current(backend.folder).files == FILES


def test_what_does_not_count_as_the_program_is_never_imported_by_it() -> None:
    """The rules of test_architecture.py keep these packages out of the program; it lists every package."""
    imports = set(ALLOWED[MAIN])
    for _ in ALLOWED:
        imports |= {name for package in imports for name in ALLOWED.get(package, ())}
    assert not imports & NOT_THE_PROGRAM
    assert all(belongs_to_program(f"{package}/a.py") for package in imports if "/" not in package)


def test_a_new_file_beside_the_program_belongs_to_it() -> None:
    """A file such as random.py would be imported in place of Python's own module."""
    assert belongs_to_program("random.py")
    assert belongs_to_program("anything/else.json")


# --- where it is found


def test_a_machine_remembers_what_it_deployed(backend: FakeBackend) -> None:
    """Later changes of the files do not matter, and only its owner can read the copy."""
    deployed_program.remember(backend.folder, backend, deployed_at())
    (backend.folder / "components/__init__.py").write_bytes(b"SIZE = 500\n")
    assert find(backend.folder, backend, deployed_at()) == Program(FILES)
    assert {path.stat().st_mode & 0o077 for path in backend.memory_folder("beta").iterdir()} == {0}


def test_what_another_machine_deployed_later_is_not_what_this_one_remembers(backend: FakeBackend) -> None:
    """The copy belongs to one update of the stack."""
    deployed_program.remember(backend.folder, backend, deployed_at())
    assert find(backend.folder, backend, deployed_at(60)) is None


def test_a_damaged_copy_is_not_used(backend: FakeBackend) -> None:
    """Its digest does not match any more."""
    deployed_program.remember(backend.folder, backend, deployed_at())
    (backend.memory_folder("beta") / "program.zip").write_bytes(b"damaged")
    assert find(backend.folder, backend, deployed_at()) is None


def test_git_knows_the_program_of_a_commit(backend: FakeBackend) -> None:
    """Files that do not belong to the program are left out, as in a folder."""
    commit = commit_all(backend.folder)
    (backend.folder / "components/__init__.py").write_bytes(b"SIZE = 500\n")
    assert find(backend.folder, backend, deployed_at(commit=commit)) == Program(FILES)


@pytest.mark.parametrize(("commit", "is_dirty"), [("0" * 40, False), ("HEAD", True), ("", False)])
def test_a_program_that_git_does_not_know_is_unknown(backend: FakeBackend, commit: str, *, is_dirty: bool) -> None:
    """That is: another clone's commit, changes besides the commit, or no commit at all."""
    commit_all(backend.folder)
    assert find(backend.folder, backend, deployed_at(commit=commit, is_dirty=is_dirty)) is None


# --- new services

CODE = (
    b"import os",
    b"from components.tags import tags",
    b"from settings.service_spec import ServiceSpec as Spec",
    b"from settings.service_spec import *",
    b"from .service_spec import ServiceSpec",
    b"SERVICE = open('/etc/passwd')",
    b"SERVICE = ServiceSpec(name='a')",
    b"from settings.service_spec import ServiceSpec\nSERVICE = ServiceSpec(name=str('a'))",
    b"from settings.service_spec import ServiceSpec\nSERVICE = ServiceSpec(**{'name': 'a'})",
    b"from settings.service_spec import ServiceSpec\nServiceSpec.__init__ = 1",
    b"from settings.service_spec import ServiceSpec\nSERVICE = [a for a in ServiceSpec]",
    b"print(1)",
    b"def f(): pass",
    b"x = (",
    b"\0",
)
# Parsed while tests are collected: after tests that recurse deeply, Python 3.11 can fail to parse
# (https://github.com/python/cpython/issues/106905).
SERVICE_FILES = sorted(path for path in (ROOT / "services").glob("*.py") if path.name != "__init__.py")
DECLARATIONS = [is_declaration(content) for content in (DECLARATION, *(path.read_bytes() for path in SERVICE_FILES))]
MISTAKEN_FOR_DECLARATIONS = [code for code in CODE if is_declaration(code)]
REFERENCE = Program({"services/members.py": b"old"}).with_new_services(
    Program({"services/members.py": b"new", "services/chat.py": DECLARATION, "services/bad.py": b"import os"})
)


def test_every_service_is_a_declaration() -> None:
    """A new one like them needs no approval."""
    assert len(DECLARATIONS) > len(all_services())
    assert all(DECLARATIONS)


def test_anything_else_than_a_declaration_is_code() -> None:
    """Whatever can do something when it is imported is code."""
    assert MISTAKEN_FOR_DECLARATIONS == []


def test_the_reference_knows_services_that_were_only_declared_since() -> None:
    """Files that it has already keep their content, and code stays out."""
    assert REFERENCE.files == {"services/members.py": b"old", "services/chat.py": DECLARATION}


# --- running it


def test_the_reference_runs_in_a_folder_of_its_own(backend: FakeBackend, tmp_path: Path) -> None:
    """Its program and its libraries are named by their folders, and the configuration is the current one."""
    scratch = tmp_path / "reference"
    scratch.mkdir()
    deployed_program.write_project(Program(FILES), backend.folder, backend, "beta", scratch)
    project = (scratch / PROJECT_FILE).read_text(encoding="utf-8")
    assert f"main: '{scratch}'" in project
    assert f"virtualenv: '{ROOT / '.venv'}'" in project
    for environment in ("alpha", "beta", "prod"):
        name = f"Pulumi.{environment}.yaml"
        assert (scratch / name).read_bytes() == (backend.folder / name).read_bytes()
    assert (scratch / "components/__init__.py").read_bytes() == FILES["components/__init__.py"]


def test_a_program_runs_under_mocks_in_a_process_of_its_own() -> None:
    """Every resource is recorded with its inputs and its parent, and so are the stack's outputs."""
    recorded = deployed_program.record(ROOT, "beta", config_of("beta"))
    assert recorded.inputs.keys() == recorded.parents.keys()
    assert any(urn.endswith("::members-servers-group") for urn in recorded.inputs)
    assert set(recorded.outputs) == {"environment", "services"}


def test_a_program_that_fails_under_mocks_is_reported(tmp_path: Path) -> None:
    """The error is the last line of its traceback."""
    (tmp_path / "__main__.py").write_text("raise ValueError('no such size')", encoding="utf-8")
    with pytest.raises(InfraError, match="ValueError: no such size"):
        deployed_program.record(tmp_path, "beta", {})
