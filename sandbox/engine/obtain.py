"""Obtains the Pulumi CLI with its engine: from PATH, as the official download, or built from the pinned Go module."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from common.console import format_duration
from common.errors import SandboxError
from common.files import exclusive_lock, user_cache
from sandbox.console import progress, say

SOURCE = Path(__file__).resolve().parent  # its go.mod and go.sum pin what is built
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
PACKAGES_IN_BUILD = 1900  # counted in 3.259.0 with `go list -deps`; only the progress line uses it
BYTES_PER_GB = 1024**3
FREE_GB_NEEDED = 6  # as measured: modules 1.4 GB, build cache 3.2 GB, and the scratch files and the binary
CONNECT_SECONDS = 5
REACHABILITY_SECONDS = CONNECT_SECONDS + 1
DOWNLOAD_SECONDS = 600
VERSION_SECONDS = 20
POLL_SECONDS = 0.5
READER_SECONDS = 2  # how long output may still arrive after a command has ended, from children that it left running
TERMINATE_SECONDS = 5
LAST_LINES = 30
DOWNLOAD_SCRIPT = (
    "import sys, semver; from pulumi.automation import PulumiCommand; "
    "PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))"
)


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI.

    Attributes:
        binary: The `pulumi` program.
        version: What `pulumi version` prints, such as `v3.259.0`.
        how: Where it comes from, as messages say it.
        has_language_host: Whether Pulumi's own Python language host came with it.
    """

    binary: Path
    version: str
    how: str
    has_language_host: bool


def sdk_version() -> str:
    """Return the version of the installed Pulumi SDK. An older engine cannot run its programs."""
    return installed_version("pulumi")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the numbers of a version such as `v3.259.0`, or None if the text is not a version."""
    match = re.match(r"^v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def version_of(binary: Path) -> str:
    """Return what `pulumi version` prints, or an empty string if the binary does not run."""
    try:
        done = subprocess.run(
            [binary, "version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def is_usable(version: str) -> bool:
    """Tell whether an engine of this version runs programs of the installed SDK: same major version, and not older."""
    engine, sdk = parse_version(version), parse_version(sdk_version())
    return engine is not None and sdk is not None and engine[0] == sdk[0] and engine >= sdk


def obtain() -> Engine:
    """Return an engine from the first source that has one. SandboxError, with the reason of each, if none has."""
    reasons: list[str] = []
    for attempt in (from_path, from_cache, from_download, from_source):
        result = attempt()
        if isinstance(result, Engine):
            say(f"engine: pulumi {result.version}, {result.how}")
            return result
        if result:
            say(f"engine: {result}")
            reasons.append(result)
    raise SandboxError(
        "no Pulumi engine is available:\n"
        + "".join(f"  - {reason}\n" for reason in reasons)
        + "Install one of these, then run the same command again:\n"
        f"  - Pulumi {sdk_version()} or newer: https://www.pulumi.com/docs/install/\n"
        "  - Go 1.25 or newer, to build the engine from source: https://go.dev/doc/install"
    )


# Each of the following returns an engine or the reason why there is none.


def from_path() -> Engine | str:
    """Use `pulumi` on PATH unless it is older than the SDK."""
    executable = shutil.which("pulumi")
    if not executable:
        return "pulumi is not on PATH"
    binary = Path(executable)
    version = version_of(binary)
    if not parse_version(version):
        return f"pulumi on PATH ({binary}) does not report its version"
    if not is_usable(version):
        return (
            f"pulumi on PATH ({binary}) is {version}; the program's SDK needs {sdk_version()} or newer, "
            "of the same major version"
        )
    return Engine(binary, version, f"from PATH ({binary})", has_language_host(binary))


def has_language_host(binary: Path) -> bool:
    """Tell whether Pulumi's own Python language host is where the engine looks for it."""
    name = "pulumi-language-python"
    return (binary.resolve().parent / name).exists() or shutil.which(name) is not None


def downloaded_binary() -> Path:
    """Return where a downloaded engine is cached."""
    return user_cache() / "engine" / f"download-{sdk_version()}" / "bin" / "pulumi"


def built_binary() -> Path:
    """Return where an engine that was built from source is cached."""
    return user_cache() / "engine" / f"build-{sdk_version()}" / "pulumi"


def from_cache() -> Engine | str:
    """Use what an earlier run downloaded or built. The reason is empty: an empty cache needs no message."""
    for how, binary in (("downloaded earlier", downloaded_binary()), ("built earlier", built_binary())):
        if binary.exists() and is_usable(version := version_of(binary)):
            return Engine(binary, version, f"{how} ({binary})", has_language_host(binary))
    return ""


def unreachable(host: str) -> str:
    """Return why a download host cannot be reached, or an empty string if it can.

    A process of its own connects to it, because looking up the name can hang for longer than any timeout in Python.
    """
    script = (
        f"import urllib.request as r; r.urlopen(r.Request('https://{host}', method='HEAD'), timeout={CONNECT_SECONDS})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=REACHABILITY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{host} did not answer within {REACHABILITY_SECONDS} s"
    error = (done.stderr.strip().splitlines() or [""])[-1]
    # An HTTP error also shows that the host can be reached: some hosts refuse HEAD.
    if done.returncode == 0 or "HTTPError" in error:
        return ""
    return f"{host} cannot be reached ({error.split(': ', 1)[-1]})"


def from_download() -> Engine | str:
    """Run Pulumi's official installer, which is part of pulumi.automation."""
    reason = unreachable("get.pulumi.com")
    if reason:
        return f"official download: {reason}"
    binary = downloaded_binary()
    root = binary.parent.parent
    with (
        exclusive_lock(root.with_suffix(".lock"), "is downloading the engine", say),
        progress("downloading pulumi") as line,
    ):
        status, output = run_visibly(
            [sys.executable, "-c", DOWNLOAD_SCRIPT, str(root), sdk_version()],
            line.show,
            timeout_seconds=DOWNLOAD_SECONDS,
        )
    if status == 0 and is_usable(version := version_of(binary)):
        return Engine(binary, version, f"official download ({binary})", has_language_host(binary))
    shutil.rmtree(root, ignore_errors=True)
    return f"official download: the installer failed ({output[-1] if output else f'exit code {status}'})"


def from_source() -> Engine | str:
    """Build the CLI from the Go module that sandbox/engine/go.mod pins."""
    go = shutil.which("go")
    if not go:
        return "build from source: go is not on PATH"
    binary = built_binary()
    cache = binary.parent.parent
    with exclusive_lock(binary.parent.with_suffix(".lock"), "is building the engine", say):
        if binary.exists() and is_usable(version := version_of(binary)):
            return Engine(binary, version, f"built by another process ({binary})", has_language_host=False)
        free_gb = shutil.disk_usage(cache).free / BYTES_PER_GB
        if free_gb < FREE_GB_NEEDED:
            say(
                f"engine: only {free_gb:.1f} GB are free in {cache}, and the build can need {FREE_GB_NEEDED} GB. "
                "If it fails, free some space, then run the same command again."
            )
        say(
            "engine: building pulumi with Go, once per machine; this takes three to six minutes on two cores. "
            "If you stop it with Ctrl-C, the next run continues the build."
        )
        return build(go, binary)


def build(go: str, binary: Path) -> Engine | str:
    """Build in a scratch folder and move the complete binary into place, so that no partial build is ever used."""
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=binary.parent.parent))
    try:
        for name in ("go.mod", "go.sum"):
            shutil.copy(SOURCE / name, scratch / name)
        flags = f"-s -w -X {VERSION_VARIABLE}=v{sdk_version()}"
        command = [go, "build", "-v", "-mod=readonly", "-ldflags", flags, "-o", str(scratch / "pulumi"), PACKAGE]
        with progress("building the engine") as line:
            status, output = run_visibly(command, line.show, folder=scratch, total_packages=PACKAGES_IN_BUILD)
            duration = format_duration(line.elapsed_seconds)
        if status != 0:
            reason = next((text for text in output if "no space left" in text), " / ".join(list(output)[-3:]))
            return f"build from source: go failed ({reason or f'exit code {status}'}); the partial build was deleted"
        binary.parent.mkdir(parents=True, exist_ok=True)
        (scratch / "pulumi").replace(binary)
    except OSError as error:
        return f"build from source: {error.filename}: {error.strerror}; the partial build was deleted"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Engine(binary, version_of(binary), f"built in {duration} ({binary})", has_language_host=False)


# --- commands that run for a while


class OutputReader(threading.Thread):
    """Reads the output of a process, counts its lines and keeps the last ones."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Prepare the thread."""
        super().__init__(daemon=True)
        self.process = process
        self.line_count = 0
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)

    def run(self) -> None:
        """Read until the process and its children have closed their output."""
        for line in self.process.stdout or ():
            self.line_count += 1
            self.last_lines.append(line.strip())


@contextmanager
def terminate_at_exit(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Terminate the process and its children if they still run when the block ends, also after Ctrl-C."""
    try:
        yield
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=TERMINATE_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def run_visibly(
    command: list[str],
    show: Callable[[str], None],
    *,
    folder: Path | None = None,
    total_packages: int = 0,
    timeout_seconds: float = 0,
    environment: dict[str, str] | None = None,
) -> tuple[int, deque[str]]:
    """Run a command and report twice a second that it is running. Return its exit code and its last lines of output.

    show: receives the reports. total_packages: about how many packages the command processes, if it prints one line for
    each. timeout_seconds: when to stop it, with exit code 1; 0 for never.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    reader = OutputReader(process)
    with terminate_at_exit(process):
        reader.start()
        deadline = time.monotonic() + timeout_seconds
        while process.poll() is None:
            packages = f"{min(reader.line_count, total_packages)} of about {total_packages} packages"
            show(packages if total_packages else "in progress")
            reader.join(timeout=POLL_SECONDS)
            if not reader.is_alive():
                process.wait()
            elif timeout_seconds and time.monotonic() > deadline:
                reader.last_lines.append(f"stopped after {timeout_seconds:.0f} s")
                return 1, reader.last_lines
        reader.join(timeout=READER_SECONDS)
    return process.returncode, reader.last_lines
