"""./infra and the getting of tools, on days when something is missing or ends half-way. No network: pip, go and pulumi are stand-ins."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import testing
from sandbox import aws_provider, stack_files
from sandbox.emulator import process as emulator
from sandbox.engine import obtain
from sandbox.errors import SandboxError
from sandbox.paths import Paths, read_json, write_private
from sandbox.session import Session
from tests.unit.conftest import ROOT

FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip") echo pip >> pip-calls; [ ! -f fail-pip ] || { echo "no index reached" >&2; exit 1; } ;;
    "-m cli") shift 2; echo "handed over: $*" ;;
esac
"""


def script(path: Path, text: str) -> None:
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def front(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return a way to run ./infra in a copy in a folder with a space, where python3 is a stand-in."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    shutil.copy(ROOT / "infra", folder)
    (folder / "requirements-dev.txt").write_text("one\n", encoding="utf-8")
    script(tmp_path / "bin" / "python3", FAKE_PYTHON)
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(folder / "infra"), *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=30)

    return run


def pip_calls(tmp_path: Path) -> int:
    """Return how often pip was called."""
    file = tmp_path / "my clone" / "pip-calls"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


def test_the_environment_is_made_once_and_again_when_the_lock_changes(front: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path) -> None:
    """From another folder, in a path with a space."""
    assert front("up", "alpha").stdout == "handed over: up alpha\n"
    assert front("check").stdout == "handed over: check\n"
    assert pip_calls(tmp_path) == 1
    (tmp_path / "my clone" / "requirements-dev.txt").write_text("two\n", encoding="utf-8")
    assert front("check").returncode == 0
    assert pip_calls(tmp_path) == 2
    assert not (tmp_path / "my clone" / ".venv.lock").exists()


def test_a_half_made_environment_is_made_anew(front: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path) -> None:
    """An installation that failed leaves no stamp; a lock of a process that is gone is taken over."""
    (tmp_path / "my clone" / "fail-pip").touch()
    failed = front("check")
    assert failed.returncode == 1
    assert "pip could not install" in failed.stderr
    assert "no index reached" in failed.stderr
    (tmp_path / "my clone" / "fail-pip").unlink()
    (tmp_path / "my clone" / ".venv.lock").mkdir()
    (tmp_path / "my clone" / ".venv.lock" / "pid").write_text("999999", encoding="utf-8")
    assert front("check").stdout == "handed over: check\n"


def test_no_python_is_told(tmp_path: Path) -> None:
    """With the version that is needed."""
    shutil.copy(ROOT / "infra", tmp_path)
    script(tmp_path / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    for tool in ("dirname", "cmp", "mkdir", "rm", "cat", "sh"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    done = subprocess.run(["/bin/sh", str(tmp_path / "infra"), "check"], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root to run as a user who may not write")
def test_a_read_only_clone_is_told() -> None:
    """With the way out; nothing is written."""
    folder = Path("/tmp") / f"infra-read-only-{os.getpid()}"  # noqa: S108 pytest's own folders cannot be entered by another user
    try:
        folder.mkdir(mode=0o755)
        shutil.copy(ROOT / "infra", folder)
        script(folder / "bin" / "python3", FAKE_PYTHON)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(folder / "infra"), "check"]
        done = subprocess.run(command, env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}, cwd="/", capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 1
        assert f"cannot write in {folder}" in done.stderr
    finally:
        shutil.rmtree(folder)


def test_help_is_quick_because_it_imports_little() -> None:
    """Neither pulumi nor pulumi_aws is on the path of --help."""
    code = "import sys, cli.app; print([name for name in ('pulumi', 'pulumi_aws', 'pydantic', 'ruamel.yaml', 'grpc') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "verb",
    [["up"], ["preview"], ["down"], ["pulumi"], ["env"], ["check"], ["test"], ["lint"], ["sandbox"], ["sandbox", "status"], ["sandbox", "reset"], ["explain"], ["new", "service"]],
)
def test_every_verb_has_help(verb: list[str]) -> None:
    """That says what it does."""
    from typer.testing import CliRunner

    from cli.app import app

    result = CliRunner().invoke(app, [*verb, "--help"] if verb != ["pulumi"] else ["--help"])
    assert result.exit_code == 0
    assert len(result.output) > 150


@pytest.mark.parametrize(("results", "code"), [([0, 0], 0), ([0, 1], 1), ([1, 6], 1), ([0, 6], 6), ([5, 0], 0), ([5, 5], 5), ([0, -9], 137), ([6, -11], 139)])
def test_a_failure_is_never_hidden_by_another_result(results: list[int], code: int) -> None:
    """Nor by a tool that was killed."""
    assert testing.worst(results) == code


# --- the engine


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a PATH folder with nothing of use in it, an empty cache, and no way to the download host."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(obtain, "unreachable", lambda host: f"{host} cannot be reached (test)")
    monkeypatch.setattr(aws_provider, "unreachable", lambda host: f"{host} cannot be reached (test)")
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_without_any_way_to_an_engine_each_is_told_and_what_to_install(bare: Path) -> None:
    """One message."""
    assert bare
    with pytest.raises(SandboxError) as raised:
        obtain.obtain()
    text = str(raised.value)
    for part in ("no pulumi on PATH", "cannot be reached (test)", "no go on PATH", "pulumi.com/docs/install", "go.dev"):
        assert part in text


@pytest.mark.parametrize(("printed", "used"), [("v3.259.0", True), ("v3.300.1", True), ("v3.258.9", False), ("v2.99.0", False), ("", False)])
def test_pulumi_on_path_is_used_if_it_is_not_older(bare: Path, printed: str, *, used: bool) -> None:
    """Than the SDK of the program."""
    script(bare / "pulumi", f"#!/bin/sh\necho {printed}\n")
    found = obtain.from_path()
    assert isinstance(found, obtain.Engine) is used
    assert used or "too old" in str(found)


def test_a_full_disk_while_the_engine_is_built_leaves_nothing_half_made(bare: Path) -> None:
    """And says the reason."""
    script(bare / "go", "#!/bin/sh\necho 'write $WORK/b001/_pkg_.a: no space left on device' >&2\nexit 1\n")
    (bare / "sh").symlink_to("/bin/sh")
    told = obtain.from_source()
    assert isinstance(told, str)
    assert "no space left on device" in told
    assert sorted(path.name for path in (bare.parent / "cache").rglob("*") if path.is_dir()) == ["100xglobal-infra", "engine"]


def test_ctrl_c_while_the_engine_is_built_stops_the_build(bare: Path) -> None:
    """The build's process is ended, its scratch folder removed, and the exit code is 130."""
    script(bare / "go", f"#!/bin/sh\necho $$ > '{bare.parent / 'go-pid'}'\nexec /bin/sleep 60\n")
    code = "import sys\nfrom sandbox.engine import obtain\ntry:\n    obtain.from_source()\nexcept KeyboardInterrupt:\n    sys.exit(130)\n"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PATH": f"{bare}:/bin"}, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (bare.parent / "go-pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((bare.parent / "go-pid").read_text(encoding="utf-8")), 0)
    assert not list((bare.parent / "cache").rglob("scratch-*"))


def test_without_any_aws_provider_each_way_is_told(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform missing, no provider anywhere."""
    assert bare
    monkeypatch.setattr(aws_provider, "ADD_ON_FOLDERS", (str(tmp_path / "nothing"),))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "nothing"))
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    with pytest.raises(SandboxError) as raised:
        aws_provider.obtain(Paths(tmp_path / ".sandbox"), obtain.Engine(Path("pulumi"), "v3.259.0", "test", has_language_host=False))
    for part in ("official plugin", "no terraform on PATH", "plugin install resource aws"):
        assert part in str(raised.value)


def test_terraforms_provider_is_found_where_terraform_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors of the configuration file, the plugin cache, implied folders; the newest wins; a missing file is no error."""

    def provider(base: Path, version: str) -> Path:
        binary = base / "registry.terraform.io" / "hashicorp" / "aws" / version / aws_provider.platform_name() / f"terraform-provider-aws_v{version}_x5"
        script(binary, "")
        return binary

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "rc"))
    assert aws_provider.newest(aws_provider.from_terraform_folders()) is None
    implied = provider(tmp_path / ".terraform.d" / "plugins", "5.9.0")
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == implied
    mirrored = provider(tmp_path / "mirror", "5.100.0")
    (tmp_path / "rc").write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path / "mirror"}"\n  }}\n}}\n', encoding="utf-8")
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == mirrored
    cached = provider(tmp_path / "plugin-cache", "6.1.0")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugin-cache"))
    assert aws_provider.newest(aws_provider.from_terraform_folders()) == cached
    added = provider(tmp_path / "opt" / "vendor" / "terraform", "5.1.0")
    monkeypatch.setattr(aws_provider, "ADD_ON_FOLDERS", (str(tmp_path / "opt"),))
    assert aws_provider.newest(aws_provider.from_add_on_folders()) == added


# --- the emulated AWS, the stacks' files, the state


def test_a_port_that_is_taken_is_not_used() -> None:
    """Another is; and between choosing and serving nobody can take it, as it stays bound."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with emulator.listen(port) as mine, socket.socket() as rival:
            assert mine.getsockname()[1] != port
            with pytest.raises(OSError, match="in use"):
                rival.bind(mine.getsockname())


def test_a_record_of_a_process_that_is_gone_or_another_is_stale(tmp_path: Path) -> None:
    """A process number alone can be used again."""
    paths = Paths(tmp_path / ".sandbox")
    paths.create()
    for pid, started in ((999999, "Mon Jan 1 00:00:00 2024"), (os.getpid(), "Mon Jan 1 00:00:00 2024")):
        write_private(paths.emulator / "process.json", f'{{"pid": {pid}, "started": "{started}", "port": 1, "code": "x"}}')
        assert emulator.find(paths) is None
        assert read_json(paths.emulator / "process.json") == {}


def test_the_sandbox_takes_nothing_of_the_machines_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_* and PULUMI_* come from the sandbox alone."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "real")
    session = Session(Paths(tmp_path / ".sandbox"), obtain.Engine(Path("/x/pulumi"), "v3.259.0", "test", has_language_host=False))
    environment = session.environment("prod", endpoint="http://127.0.0.1:1")
    assert "real" not in environment.values()
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PULUMI_ACCESS_TOKEN"} & set(environment)
    assert environment["AWS_ACCESS_KEY_ID"] == "111111111111"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    emulated = emulator.server_environment(Paths(tmp_path / ".sandbox"), 1)
    assert not [name for name in emulated if name.startswith("AWS_")]


def test_the_copy_of_a_stacks_file_has_the_sandboxs_salt_and_no_other(tmp_path: Path) -> None:
    """The clone's file is never written."""
    root, paths = tmp_path / "it's a clone", Paths(tmp_path / ".sandbox")
    root.mkdir()
    paths.create()
    (root / "Pulumi.yaml").write_text("name: 100xglobal\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n", encoding="utf-8")
    original = "secretsprovider: awskms://alias/x\nencryptedkey: abc\nconfig:\n  a: b\n"
    (root / "Pulumi.beta.yaml").write_text(original, encoding="utf-8")
    stack_files.refresh(paths, root)
    copy = paths.program / "Pulumi.beta.yaml"
    assert copy.read_text(encoding="utf-8") == "config:\n  a: b\n"
    copy.write_text(copy.read_text(encoding="utf-8") + "encryptionsalt: v1:mine\n", encoding="utf-8")
    (root / "Pulumi.beta.yaml").write_text(original.replace("a: b", "a: c"), encoding="utf-8")
    stack_files.refresh(paths, root)
    assert copy.read_text(encoding="utf-8") == "config:\n  a: c\nencryptionsalt: v1:mine\n"
    project = (paths.program / "Pulumi.yaml").read_text(encoding="utf-8")
    assert f"main: '{tmp_path}/it''s a clone'" in project
    assert "virtualenv: '" in project


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves what was there."""
    target = tmp_path / "file"
    write_private(target, "before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SandboxError, match="No space left"):
        write_private(target, "after")
    assert target.read_text(encoding="utf-8") == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.stat().st_mode & 0o077 == 0
