"""The shell script `./infra`: it installs the locked requirements, then starts the command line."""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.unit.conftest import ROOT
from tests.unit.executables import write_executable

FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip") echo pip >> pip-calls; [ ! -f fail-pip ] || { echo "no index reached" >&2; exit 1; } ;;
    "-m cli") shift 2; echo "command line: $*" ;;
esac
"""


@dataclass(frozen=True)
class Clone:
    """A copy of the script, where `python3` is FAKE_PYTHON. The path of its folder contains a space."""

    folder: Path
    path: str

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ./infra from another folder."""
        return subprocess.run(
            [str(self.folder / "infra"), *arguments],
            cwd=self.folder.parent,
            env={"PATH": self.path, "HOME": str(self.folder.parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @property
    def pip_calls(self) -> int:
        """How often pip was called."""
        file = self.folder / "pip-calls"
        return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0

    def write_requirements(self, text: str) -> None:
        """Write the locked requirements."""
        (self.folder / "requirements-dev.txt").write_text(text, encoding="utf-8")


def copy_script(folder: Path) -> None:
    """Copy the script into a folder that looks like a clone."""
    shutil.copy(ROOT / "infra", folder)
    (folder / "cli").mkdir()
    (folder / "cli/__main__.py").touch()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a copy of the script without a virtual environment."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    copy_script(folder)
    write_executable(tmp_path / "bin" / "python3", FAKE_PYTHON)
    clone = Clone(folder, f"{tmp_path / 'bin'}:/usr/bin:/bin")
    clone.write_requirements("one\n")
    return clone


def test_requirements_are_installed_once_and_again_when_the_lock_file_changes(clone: Clone) -> None:
    """Every call starts the command line with its arguments; only the first call and a changed file run pip."""
    assert clone.run("up", "alpha").stdout == "command line: up alpha\n"
    assert clone.run("check").stdout == "command line: check\n"
    assert clone.pip_calls == 1
    clone.write_requirements("two\n")
    assert clone.run("check").returncode == 0
    assert clone.pip_calls == 2
    assert not (clone.folder / ".venv.lock").exists()


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_symbolic_link_leads_to_the_clone(clone: Clone, tmp_path: Path, *, is_relative: bool) -> None:
    """The folder of the link may be another project with a .venv of its own, which stays as it is."""
    other = tmp_path / "other project"
    (other / ".venv").mkdir(parents=True)
    target = Path("..") / clone.folder.name / "infra" if is_relative else clone.folder / "infra"
    (other / "link").symlink_to(target)
    (other / "infra").symlink_to("link")
    assert replace(clone, folder=other).run("check").stdout == "command line: check\n"
    assert list((other / ".venv").iterdir()) == []
    assert clone.pip_calls == 1


def test_a_copied_script_deletes_nothing(clone: Clone, tmp_path: Path) -> None:
    """Outside a clone, the script would replace the .venv of another project."""
    other = tmp_path / "other"
    (other / ".venv").mkdir(parents=True)
    shutil.copy(ROOT / "infra", other)
    done = replace(clone, folder=other).run("check")
    assert done.returncode == 1
    assert "is not a clone of this project" in done.stderr
    assert (other / ".venv").is_dir()


def test_a_failed_installation_is_repeated(clone: Clone, snapshot: SnapshotAssertion) -> None:
    """An installation that failed is reported and done again by the next call, which needs no lock to be removed."""
    (clone.folder / "fail-pip").touch()
    failed = clone.run("check")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == snapshot
    (clone.folder / "fail-pip").unlink()
    assert clone.run("check").stdout == "command line: check\n"
    assert clone.pip_calls == 2


def test_the_lock_of_a_process_that_no_longer_runs_is_taken_over(clone: Clone) -> None:
    """A process that was killed while it was installing does not block the next call."""
    (clone.folder / ".venv.lock").mkdir()
    (clone.folder / ".venv.lock" / "pid").write_text("999999", encoding="utf-8")
    assert clone.run("check").stdout == "command line: check\n"
    assert not (clone.folder / ".venv.lock").exists()


def test_a_missing_python_is_reported_with_the_required_version(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """Without Python 3.11 or newer, the script fails with exit code 1 and names the required version."""
    copy_script(tmp_path)
    write_executable(tmp_path / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    for tool in ("dirname", "cmp", "mkdir", "rm", "cat", "sh"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / "infra"), "check"],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == snapshot


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can run the script as another user"
)
def test_a_clone_that_cannot_be_written_to_is_reported() -> None:
    """The script fails with exit code 1, names the folder, and leaves it as it was."""
    # pytest's own temporary folders cannot be entered by another user.
    folder = Path("/tmp") / f"infra-read-only-{os.getpid()}"  # noqa: S108 see above; the name is this process's own
    try:
        folder.mkdir(mode=0o755)
        copy_script(folder)
        write_executable(folder / "bin" / "python3", FAKE_PYTHON)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(folder / "infra"), "check"]
        done = subprocess.run(
            command,
            env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 1
        assert str(folder) in done.stderr
        assert sorted(path.name for path in folder.iterdir()) == ["bin", "cli", "infra"]
    finally:
        shutil.rmtree(folder)
