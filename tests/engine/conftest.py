"""Fixtures of the engine tests: a clone of this project in a folder with a space, and a sandbox of its own.

Where no engine can be had, these tests are skipped with the reason, the summary says so loudly, and pytest exits with
NOT_A_FULL_RUN: it must not look like a full run.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.testing import NOT_A_FULL_RUN
from sandbox.emulator import process as emulator
from sandbox.errors import SandboxError
from sandbox.paths import Paths
from sandbox.session import Session, account_of, open_session

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("alpha", "beta", "prod")
unavailable: list[str] = []


@dataclass(frozen=True)
class Clone:
    """A copy of the project as a newcomer would have it, with this one's .venv."""

    root: Path

    @property
    def paths(self) -> Paths:
        """Its sandbox."""
        return Paths(self.root / ".sandbox")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start ./infra in it, in a process group of its own."""
        return subprocess.Popen(
            [str(self.root / "infra"), *arguments],
            cwd=self.root,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def infra(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ./infra in it to its end."""
        process = self.start(*arguments)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output)

    def steps(self, stack: str) -> list[dict[str, Any]]:
        """Return a preview's steps; components that only pass on their children's changes are left out."""
        done = subprocess.run([str(self.root / "infra"), "preview", stack, "--json"], cwd=self.root, env=clean_environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
        return [step for step in steps if step["op"] != "same"]

    def state(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources in a stack's state."""
        file = self.paths.state / ".pulumi" / "stacks" / "100xglobal" / f"{stack}.json"
        latest: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"] or {}
        return list(latest.get("resources") or [])

    def aws(self, stack: str, service: str = "autoscaling") -> Any:
        """Return a client of the emulated AWS, in a stack's account."""
        import boto3

        running = emulator.find(self.paths)
        assert running
        return boto3.client(service, endpoint_url=running.endpoint, region_name="us-east-1", aws_access_key_id=account_of(stack, self.root), aws_secret_access_key="sandbox")  # noqa: S106 the emulator's

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def clean_environment() -> dict[str, str]:
    """Return this environment without what a shell with `./infra env` has."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_", "INFRA_"))}


def make_clone(folder: Path) -> Clone:
    """Copy what git knows of this project."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return Clone(folder)


def only_socket(text: str) -> str:
    """Return an environment's file with one service switched on, the one without data: a small environment."""
    for name in ("core", "members", "payments", "email"):
        text = text.replace(f"    {name}:\n", f"    {name}:\n      enabled: false\n")
    return text


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Return a sandbox of this process's own, for programs that the tests write."""
    try:
        made = open_session(Paths(tmp_path_factory.mktemp("lab sandbox") / ".sandbox"))
    except SandboxError as error:
        unavailable.append(str(error))
        pytest.skip(f"no engine can be had: {error}")
    yield made
    emulator.stop(made.paths)


@pytest.fixture(scope="session")
def clone(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone whose sandbox ends with the tests."""
    assert session
    made = make_clone(tmp_path_factory.mktemp("my clone"))
    yield made
    emulator.stop(made.paths)


@pytest.fixture(scope="session")
def environments(clone: Clone) -> dict[str, str]:
    """Bring all environments up, at the same time, beside each other; return what each `up` printed."""
    running = {stack: clone.start("up", stack) for stack in STACKS}
    printed = {stack: process.communicate()[0] for stack, process in running.items()}
    failed = {stack: printed[stack][-3000:] for stack, process in running.items() if process.returncode != 0}
    assert not failed, json.dumps(failed, indent=1)
    return printed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, so that two workers end together."""
    items.sort(key=lambda item: "test_environments" not in item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that this was no full run."""
    if unavailable:
        terminalreporter.section("THE ENGINE TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(unavailable[0])
        terminalreporter.line(f"This was not a full run (exit code {NOT_A_FULL_RUN}). What passed above is all that was tested.")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End with a code of its own where the engine tests could not run."""
    if unavailable and exitstatus in {0, 5}:
        session.exitstatus = NOT_A_FULL_RUN
