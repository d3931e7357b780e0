"""How the sandbox gets its tools, the Pulumi engine and an AWS provider, on machines where something is missing.

`go` and `pulumi` are stand-ins, and no test needs a network.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from common.errors import SandboxError
from sandbox import aws_provider
from sandbox.engine import obtain
from sandbox.paths import Paths
from tests.unit.conftest import ROOT
from tests.unit.executables import write_executable

ENGINE = obtain.Engine(Path("pulumi"), "v3.259.0", "test", has_language_host=False)
BUILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
from sandbox.engine import obtain
try:
    obtain.from_source()
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH, which is empty. The cache is empty too, and no download host can be reached."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(obtain, "unreachable", lambda host: f"{host} cannot be reached (test)")
    monkeypatch.setattr(aws_provider, "unreachable", lambda host: f"{host} cannot be reached (test)")
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


# --- the engine


@pytest.mark.usefixtures("programs")
def test_without_an_engine_the_error_lists_every_attempt_and_what_to_install(snapshot: SnapshotAssertion) -> None:
    """One error says why each way to get an engine failed, and which programs the user can install."""
    with pytest.raises(SandboxError) as raised:
        obtain.obtain()
    assert str(raised.value) == snapshot


@pytest.mark.parametrize(
    ("version", "is_used"),
    [("v3.259.0", True), ("v3.300.1", True), ("v3.258.9", False), ("v2.99.0", False), ("", False)],
)
def test_pulumi_on_path_is_used_unless_it_is_older_than_the_sdk(programs: Path, version: str, *, is_used: bool) -> None:
    """An older engine, one of another major version and one without a version are not used."""
    write_executable(programs / "pulumi", f"#!/bin/sh\necho {version}\n")
    result = obtain.from_path()
    assert isinstance(result, obtain.Engine) is is_used
    assert version in (result.version if isinstance(result, obtain.Engine) else result)


def test_a_build_that_runs_out_of_disk_space_leaves_nothing_behind(programs: Path) -> None:
    """The reason is what Go printed, and the cache has no partially built engine."""
    write_executable(
        programs / "go", "#!/bin/sh\necho 'write $WORK/b001/_pkg_.a: no space left on device' >&2\nexit 1\n"
    )
    (programs / "sh").symlink_to("/bin/sh")
    reason = obtain.from_source()
    assert isinstance(reason, str)
    assert "no space left on device" in reason
    folders = [path.name for path in (programs.parent / "cache").rglob("*") if path.is_dir()]
    assert sorted(folders) == ["100xglobal-infra", "engine"]


def test_an_interrupt_stops_the_build_of_the_engine(programs: Path) -> None:
    """After Ctrl-C, Go no longer runs and its scratch folder is deleted."""
    pid_file = programs.parent / "go-pid"
    write_executable(programs / "go", f"#!/bin/sh\necho $$ > '{pid_file}'\nexec /bin/sleep 60\n")
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{programs}:/bin"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text(encoding="utf-8")), 0)
    assert not list((programs.parent / "cache").rglob("scratch-*"))


# --- the AWS provider


@pytest.mark.usefixtures("programs")
def test_without_an_aws_provider_the_error_lists_every_attempt_and_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """One error says why each way to get an AWS provider failed, and what the user can install."""
    monkeypatch.setattr(aws_provider, "ADD_ON_FOLDERS", (str(tmp_path / "nothing"),))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "nothing"))
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    with pytest.raises(SandboxError) as raised:
        aws_provider.obtain(Paths(tmp_path / ".sandbox"), ENGINE)
    assert str(raised.value).replace(str(tmp_path), "<folder>") == snapshot


def write_provider(base: Path, version: str) -> Path:
    """Write a Terraform provider into a folder of Terraform's layout, and return its path."""
    folder = base / "registry.terraform.io" / "hashicorp" / "aws" / version / aws_provider.platform_name()
    write_executable(folder / f"terraform-provider-aws_v{version}_x5", "")
    return folder / f"terraform-provider-aws_v{version}_x5"


def test_terraforms_provider_is_searched_where_terraform_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest provider wins among implied folders, mirrors and the plugin cache; a missing file is no error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "rc"))
    assert aws_provider.newest(aws_provider.from_terraform_folders()) is None
    implied = write_provider(tmp_path / ".terraform.d" / "plugins", "5.9.0")
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == implied
    mirrored = write_provider(tmp_path / "mirror", "5.100.0")
    (tmp_path / "rc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path / "mirror"}"\n  }}\n}}\n',
        encoding="utf-8",
    )
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == mirrored
    cached = write_provider(tmp_path / "plugin-cache", "6.1.0")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugin-cache"))
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == cached


def test_terraforms_provider_is_found_in_add_on_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is installed as part of another product is found below /opt."""
    provider = write_provider(tmp_path / "opt" / "vendor" / "terraform", "5.1.0")
    monkeypatch.setattr(aws_provider, "ADD_ON_FOLDERS", (str(tmp_path / "opt"),))
    assert aws_provider.newest(aws_provider.from_add_on_folders()) == provider
