"""The program that deployed an environment, with which the gate compares the current one.

This machine keeps a copy of the program with every `./infra up`. For what another machine deployed, git has it: Pulumi
records the commit with each update, and whether there were other changes.
"""

import ast
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cli.backends import Backend
from common.errors import InfraError
from common.files import ROOT, read_json, write_atomically, write_private
from release.code_changes import Recorded
from release.stack_state import StackState, Update
from sandbox import stack_files
from settings.project_files import PROJECT_FILE, environment_file, environment_files

# Folders that the program never imports, as a test makes sure. Everything else counts as the program.
NOT_THE_PROGRAM = frozenset(
    {"benchmarks", "cli", "docs", "mocks", "organization", "release", "releases", "sandbox", "tests"}
)
NOT_CODE = frozenset({".md", ".pyc"})
SERVICES, LIBRARIES = "services", "requirements.txt"
DECLARATIONS = "settings.service_spec"  # all that a file of a service has to import
PRIVATE_MODE = 0o600


@dataclass(frozen=True)
class Program:
    """The files of a program: their content by their path, such as `components/service_environment.py`."""

    files: Mapping[str, bytes]

    @property
    def libraries(self) -> bytes:
        """The locked requirements."""
        return self.files.get(LIBRARIES, b"")

    @property
    def project(self) -> dict[str, Any]:
        """The content of the project file."""
        project: dict[str, Any] = YAML(typ="safe").load(self.files.get(PROJECT_FILE, b"").decode()) or {}
        return project

    def with_new_services(self, current: "Program") -> "Program":
        """Return this program with the services that only another one has, if their files merely declare them."""
        added = {
            path: content
            for path, content in current.files.items()
            if Path(path).parent.as_posix() == SERVICES and path not in self.files and is_declaration(content)
        }
        return Program({**self.files, **added})

    def write(self, folder: Path) -> None:
        """Write the files into an empty folder."""
        for path, content in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def belongs_to_program(path: str) -> bool:
    """Tell whether a file is a part of the program. path: relative to the project's folder."""
    steps = Path(path).parts
    is_hidden = any(step.startswith(".") or step == "__pycache__" for step in steps)
    is_configuration = len(steps) == 1 and steps[0].startswith("Pulumi.") and steps[0] != PROJECT_FILE
    return not (is_hidden or is_configuration or steps[0] in NOT_THE_PROGRAM or Path(path).suffix in NOT_CODE)


def current(folder: Path) -> Program:
    """Return the program in a folder."""
    files: dict[str, bytes] = {}
    for entry in sorted(folder.iterdir()):
        paths = sorted(entry.rglob("*")) if entry.is_dir() and belongs_to_program(entry.name) else [entry]
        for path in paths:
            name = path.relative_to(folder).as_posix()
            if belongs_to_program(name) and path.is_file():
                files[name] = path.read_bytes()
    return Program(files)


def remember(folder: Path, backend: Backend, deployed: StackState) -> None:
    """Keep a copy of the program that has just deployed an environment."""
    update = deployed.last_success()
    if update is None:
        return
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        for path, content in current(folder).files.items():
            stream.writestr(path, content)
    memory = backend.memory_folder(deployed.stack)
    memory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(memory / "program.zip", archive.getvalue(), PRIVATE_MODE)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    write_private(memory / "program.json", json.dumps({"update": update_id(update), "sha256": digest}))


def update_id(update: Update) -> str:
    """Return what identifies an update in its stack's history."""
    return update.ended.isoformat()


def find(folder: Path, backend: Backend, deployed: StackState) -> Program | None:
    """Return the program that deployed an environment; None if nobody here knows it."""
    update = deployed.last_success()
    if update is None:
        return None
    memory = backend.memory_folder(deployed.stack)
    note = read_json(memory / "program.json")
    if note.get("update") == update_id(update):
        content = (memory / "program.zip").read_bytes()
        if hashlib.sha256(content).hexdigest() == note.get("sha256"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return Program({name: archive.read(name) for name in archive.namelist()})
    return of_commit(folder, update.commit) if update.commit and not update.is_dirty else None


def of_commit(folder: Path, commit: str) -> Program | None:
    """Return the program of a commit; None if this clone does not have it."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit],
        cwd=folder,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        return None
    files = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and belongs_to_program(member.name):
                files[member.name] = content.read()
    return Program(files)


def is_declaration(content: bytes) -> bool:
    """Tell whether a file only declares a service: imports of the classes for it, and calls of them."""
    try:
        body = ast.parse(content).body
    except (SyntaxError, ValueError):
        return False
    classes: set[str] = set()
    for node in body:
        if isinstance(node, ast.ImportFrom) and is_import_of_declarations(node):
            classes |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
            if not is_literal(node.value, classes):
                return False
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return False
    return True


def is_import_of_declarations(node: ast.ImportFrom) -> bool:
    """Tell whether a statement imports the classes that declare services, under their own names."""
    has_own_names = all(alias.name != "*" and alias.asname is None for alias in node.names)
    return node.module == DECLARATIONS and not node.level and has_own_names


def is_literal(node: ast.expr, classes: set[str]) -> bool:
    """Tell whether an expression consists of constants and of calls of some classes."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Tuple | ast.List):
        return all(is_literal(item, classes) for item in node.elts)
    if isinstance(node, ast.Call):
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        is_class = isinstance(node.func, ast.Name) and node.func.id in classes
        return is_class and all(is_literal(argument, classes) for argument in arguments)
    return False


def write_project(program: Program, folder: Path, backend: Backend, environment: str, scratch: Path) -> None:
    """Write a program with the current configuration into an empty folder, where Pulumi can preview it."""
    program.write(scratch)
    project = program.files[PROJECT_FILE].decode()
    (scratch / PROJECT_FILE).write_text(stack_files.project_copy(project, scratch, ROOT / ".venv"), encoding="utf-8")
    for file in environment_files(folder):
        (scratch / file.name).write_bytes(file.read_bytes())
    own = backend.configuration_file(folder, environment)
    write_private(scratch / environment_file(environment), own.read_text(encoding="utf-8"))


def record(program: Path, environment: str, config: Mapping[str, Any]) -> Recorded:
    """Return the resources of the program in a folder under mocks. InfraError if it fails."""
    command = [sys.executable, str(ROOT / "mocks" / "record.py"), environment]
    done = subprocess.run(command, cwd=program, input=json.dumps(config), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        details = done.stderr.strip().splitlines()
        raise InfraError(f"the program in {program} failed under Pulumi's mocks: {details[-1] if details else ''}")
    return Recorded(**json.loads(done.stdout))
