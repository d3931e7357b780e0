"""Fixtures of the engine tests: a clone of this project in a folder with a space in its name, with its own sandbox.

If no engine can be installed, these tests are skipped, the summary says so, and pytest exits with
ExitCode.INCOMPLETE_TEST_RUN, so that the run does not look complete.
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

from cli.exit_codes import ExitCode
from common.errors import InfraError
from release.journal import SANDBOX
from sandbox.emulator import process as emulator
from sandbox.paths import Paths
from sandbox.session import REGION, Session, account_of, open_session
from settings.project_files import PROJECT

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("alpha", "beta", "prod")
OUTPUT_COLUMNS = "200"  # wide enough that tables do not break names
NO_TESTS_RAN = 5  # pytest's own exit code
installation_errors: list[str] = []


@dataclass(frozen=True)
class Clone:
    """A copy of the project as a new colleague would have it, with the virtual environment of this one."""

    root: Path

    @property
    def paths(self) -> Paths:
        """The folders of its sandbox."""
        return Paths(self.root / ".sandbox")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start ./infra in a process group of its own."""
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
        """Run ./infra until it ends. Its standard output includes its standard error."""
        process = self.start(*arguments)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output)

    def run_script(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a shell script in the clone's folder. Its standard output includes its standard error."""
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.root,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def steps(self, stack: str) -> list[dict[str, Any]]:
        """Return the steps of a preview that change something."""
        done = subprocess.run(
            [str(self.root / "infra"), "preview", stack, "--json"],
            cwd=self.root,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
        return [step for step in steps if step["op"] != "same"]

    def operations(self, stack: str) -> dict[str, str]:
        """Return what a preview would do to each resource, by the resource's name."""
        steps = [step for step in self.steps(stack) if "pulumi:pulumi:Stack" not in step["urn"]]
        return {resource_name(step["urn"]): step["op"] for step in steps}

    def gate_report(self, stack: str) -> tuple[int, dict[str, Any]]:
        """Run the gate; return its exit code and its report."""
        done = self.infra("gate", stack, "--format", "json")
        report: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
        return done.returncode, report

    def state_file(self, stack: str) -> Path:
        """Return the file with a stack's state."""
        return self.paths.state / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def deployment(self, stack: str) -> Mapping[str, Any]:
        """Return a stack's state."""
        content = json.loads(self.state_file(stack).read_text(encoding="utf-8"))
        latest: Mapping[str, Any] = content["checkpoint"]["latest"] or {}
        return latest

    def state(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources in a stack's state."""
        return list(self.deployment(stack).get("resources") or [])

    def lock_files(self, stack: str) -> list[Path]:
        """Return the locks on a stack."""
        return list((self.paths.state / ".pulumi" / "locks" / "organization" / PROJECT / stack).glob("*.json"))

    def aws(self, stack: str, service: str = "autoscaling") -> Any:
        """Return a boto3 client for the emulator, in a stack's account."""
        import boto3

        return boto3.client(service, **self.account.aws_session(stack))

    @property
    def account(self) -> "CloneAccount":
        """Return where its AWS is."""
        return CloneAccount(self)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that appears exactly once in a file."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} appears {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class CloneAccount:
    """The emulated AWS of a clone."""

    clone: Clone
    name: str = SANDBOX

    def aws_session(self, stack: str) -> dict[str, Any]:
        """Return boto3's arguments for a stack's account."""
        running = emulator.find(self.clone.paths)
        assert running
        return {
            "endpoint_url": running.endpoint,
            "region_name": REGION,
            "aws_access_key_id": account_of(stack, self.clone.root),
            "aws_secret_access_key": "sandbox",
        }


def resource_name(urn: str) -> str:
    """Return the name at the end of a URN."""
    return urn.rsplit("::", 1)[-1]


def clean_environment() -> dict[str, str]:
    """Return this process's environment variables without those that `./infra env` sets in a shell."""
    foreign = ("PULUMI_", "AWS_", "INFRA_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return variables | {"COLUMNS": OUTPUT_COLUMNS}


def make_clone(folder: Path) -> Clone:
    """Copy the files of this project that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return Clone(folder)


def only_socket(text: str) -> str:
    """Return an environment file in which socket is the only enabled service: a small environment without data."""
    for name in ("core", "members", "payments", "email"):
        text = text.replace(f"    {name}:\n", f"    {name}:\n      enabled: false\n")
    return text


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Return a sandbox for the programs that tests write."""
    try:
        session = open_session(Paths(tmp_path_factory.mktemp("lab sandbox") / ".sandbox"))
    except InfraError as error:
        installation_errors.append(str(error))
        pytest.skip(f"the sandbox cannot be installed: {error}")
    yield session
    emulator.stop(session.paths)


@pytest.fixture(scope="module")
def small(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone in which alpha has the foundation and socket, the service without data."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("small clone"))
    path = clone.root / "Pulumi.alpha.yaml"
    path.write_text(only_socket(path.read_text(encoding="utf-8")), encoding="utf-8")
    yield clone
    emulator.stop(clone.paths)


@pytest.fixture(scope="session")
def clone(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Return a clone with an empty sandbox."""
    assert session
    clone = make_clone(tmp_path_factory.mktemp("my clone"))
    yield clone
    emulator.stop(clone.paths)


@pytest.fixture(scope="session")
def environments(clone: Clone) -> dict[str, str]:
    """Deploy all environments at the same time; return the output of each `up`."""
    processes = {stack: clone.start("up", stack) for stack in STACKS}
    outputs = {stack: process.communicate()[0] for stack, process in processes.items()}
    failures = {stack: outputs[stack][-3000:] for stack, process in processes.items() if process.returncode != 0}
    assert not failures, json.dumps(failures, indent=1)
    return outputs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest, so that all workers finish at about the same time."""
    longest = ("test_environments", "test_crashes", "test_kills")

    def position(item: pytest.Item) -> int:
        return next((index for index, name in enumerate(longest) if name in item.nodeid), len(longest))

    items.sort(key=position)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say if the engine tests did not run."""
    if installation_errors:
        terminalreporter.section("THE ENGINE TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(installation_errors[0])
        terminalreporter.line(
            f"This test run is incomplete (exit code {ExitCode.INCOMPLETE_TEST_RUN:d}): only the tests above passed."
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Use an exit code of its own if the engine tests did not run."""
    if installation_errors and exitstatus in {ExitCode.SUCCESS, NO_TESTS_RAN}:
        session.exitstatus = ExitCode.INCOMPLETE_TEST_RUN
