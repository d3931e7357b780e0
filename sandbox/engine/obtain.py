"""Gets the Pulumi CLI with its engine: from PATH, from the official download, or built from the pinned Go module."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from sandbox.console import elapsed, progress, tell
from sandbox.errors import SandboxError
from sandbox.paths import only_one, user_cache

SOURCE = Path(__file__).resolve().parent  # go.mod and go.sum, which pin what is built
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
PACKAGES_IN_BUILD = 1900  # counted on 3.259.0 with `go list -deps`; only the progress line shows it
FREE_BYTES_NEEDED = 6 * 1024**3  # seen: modules 1.4 GB, build cache 3.2 GB, scratch files and the binary
REACH_SECONDS = 6  # a download that does not answer by then is given up
DOWNLOAD_SECONDS = 600


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI, and whether pulumi's own Python language host came with it."""

    binary: Path
    version: str
    how: str
    has_language_host: bool


def sdk_version() -> str:
    """Return the version of the installed Pulumi SDK, which the engine must not be older than."""
    return installed_version("pulumi")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the numbers of `v3.259.0`, or None where there is no version."""
    match = re.match(r"^v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def version_of(binary: Path) -> str:
    """Return what `pulumi version` prints, or an empty text where it does not run."""
    try:
        done = subprocess.run([binary, "version"], capture_output=True, text=True, timeout=20, check=False, env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"})
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def is_usable(found: str) -> bool:
    """Tell whether an engine of this version runs programs of the pinned SDK: same major, not older."""
    have, want = parse_version(found), parse_version(sdk_version())
    return have is not None and want is not None and have[0] == want[0] and have >= want


def obtain() -> Engine:
    """Return an engine, by the first way that works; each way that fails is told with its reason."""
    refused: list[str] = []
    for attempt in (from_path, from_cache, from_download, from_source):
        found = attempt()
        if isinstance(found, Engine):
            tell(f"engine: pulumi {found.version}, {found.how}")
            return found
        if found:
            tell(f"engine: {found}")
            refused.append(found)
    message = (
        "no Pulumi engine could be had:\n  - "
        + "\n  - ".join(refused)
        + f"\nInstall one of these and run the same command again: Pulumi {sdk_version()} or newer (https://www.pulumi.com/docs/install/), or Go 1.25 or newer (https://go.dev/doc/install)."
    )
    raise SandboxError(message)


def from_path() -> Engine | str:
    """Use `pulumi` on PATH if it is not older than the SDK."""
    where = shutil.which("pulumi")
    if not where:
        return "no pulumi on PATH"
    found = version_of(Path(where))
    if not is_usable(found):
        return f"pulumi on PATH is {found or 'of no known version'}, and the program's SDK is {sdk_version()}: too old"
    return Engine(Path(where), found, f"from PATH ({where})", has_language_host=beside(Path(where)))


def beside(binary: Path) -> bool:
    """Tell whether pulumi's own language host stands where the engine looks for it."""
    return (binary.resolve().parent / "pulumi-language-python").exists() or shutil.which("pulumi-language-python") is not None


def cached_builds() -> dict[str, Path]:
    """Return where this machine's earlier engines would be."""
    folder = user_cache() / "engine"
    return {"downloaded earlier": folder / f"download-{sdk_version()}" / "bin" / "pulumi", "built earlier": folder / f"build-{sdk_version()}" / "pulumi"}


def from_cache() -> Engine | str:
    """Use what an earlier run downloaded or built; says nothing where there is none."""
    for how, binary in cached_builds().items():
        if binary.exists() and is_usable(found := version_of(binary)):
            return Engine(binary, found, f"{how} ({binary})", has_language_host=beside(binary))
    return ""


def unreachable(host: str) -> str:
    """Return why a download host can't be reached, or an empty text. Asked in a process of its own: a name look-up can hang."""
    code = f"import urllib.request as r; r.urlopen(r.Request('https://{host}', method='HEAD'), timeout={REACH_SECONDS - 1})"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=REACH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{host} did not answer within {REACH_SECONDS} s"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    # Any answer of the host, also a refusal of HEAD, means that it is there.
    return "" if done.returncode == 0 or "HTTPError" in last else f"{host} cannot be reached ({last.split(': ', 1)[-1]})"


def from_download() -> Engine | str:
    """Run the official installer that pulumi.automation ships."""
    reason = unreachable("get.pulumi.com")
    if reason:
        return f"official download: {reason}"
    binary = cached_builds()["downloaded earlier"]
    root = binary.parent.parent
    code = "import sys, semver; from pulumi.automation import PulumiCommand; PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))"
    with only_one(root.with_suffix(".lock"), "it downloads the engine"), progress("downloading pulumi") as line:
        status, tail = run_visibly([sys.executable, "-c", code, str(root), sdk_version()], line.show, deadline_seconds=DOWNLOAD_SECONDS)
    if status == 0 and is_usable(found := version_of(binary)):
        return Engine(binary, found, f"official download ({binary})", has_language_host=beside(binary))
    shutil.rmtree(root, ignore_errors=True)
    return f"official download: the installer failed ({tail[-1] if tail else f'exit {status}'})"


def from_source() -> Engine | str:
    """Build the CLI from the Go module pinned in sandbox/engine/go.mod."""
    go = shutil.which("go")
    if not go:
        return "build from source: no go on PATH"
    target = cached_builds()["built earlier"]
    with only_one(target.parent.with_suffix(".lock"), "it builds the engine"):
        if target.exists() and is_usable(found := version_of(target)):
            return Engine(target, found, f"built by another process ({target})", has_language_host=False)
        free = shutil.disk_usage(target.parent.parent).free
        if free < FREE_BYTES_NEEDED:
            tell(f"engine: {free / 1024**3:.1f} GB free under {target.parent.parent}; the build of the engine takes up to {FREE_BYTES_NEEDED // 1024**3} GB")
        tell("engine: building pulumi with Go; once a machine, three to six minutes on two cores. Ctrl-C is safe: the next run goes on.")
        return build(go, target)


def build(go: str, target: Path) -> Engine | str:
    """Build into a scratch folder and move the result in place whole, so that a half-made engine is never used."""
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=target.parent.parent))
    try:
        for name in ("go.mod", "go.sum"):
            shutil.copy(SOURCE / name, scratch / name)
        flags = f"-s -w -X {VERSION_VARIABLE}=v{sdk_version()}"
        command = [go, "build", "-v", "-mod=readonly", "-ldflags", flags, "-o", str(scratch / "pulumi"), PACKAGE]
        with progress("building the engine") as line:
            status, tail = run_visibly(command, line.show, folder=scratch, counted=PACKAGES_IN_BUILD)
            took = elapsed(line.total)
        if status != 0:
            reason = next((text for text in tail if "no space left" in text), " / ".join(list(tail)[-3:]))
            return f"build from source: go failed ({reason or f'exit {status}'}); nothing half-made was kept"
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch / "pulumi").replace(target)
    except OSError as error:
        return f"build from source: {error.strerror}: {error.filename}; nothing half-made was kept"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    found = version_of(target)
    return Engine(target, found, f"built in {took} ({target})", has_language_host=False)


@contextmanager
def stopped_with_us(process: "subprocess.Popen[str]") -> Iterator[None]:
    """End the process and its children whatever ends this block (Ctrl-C too)."""
    try:
        yield
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def run_visibly(
    command: list[str], show: Callable[[str], None], *, folder: Path | None = None, counted: int = 0, deadline_seconds: float = 0, environment: dict[str, str] | None = None
) -> tuple[int, deque[str]]:
    """Run a command while showing that it goes on; return its exit code and its last lines."""
    tail: deque[str] = deque(maxlen=30)
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    seen = 0

    def read() -> None:
        nonlocal seen
        for text in process.stdout or ():
            seen += 1
            tail.append(text.strip())

    with stopped_with_us(process):
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        waited = 0.0
        while process.poll() is None:
            show(f"{min(seen, counted)} of about {counted} packages" if counted else "under way")
            reader.join(timeout=0.5)
            if not reader.is_alive():
                process.wait()
            waited += 0.5
            if deadline_seconds and waited > deadline_seconds:
                tail.append(f"gave up after {deadline_seconds:.0f} s")
                return 1, tail
        reader.join(timeout=2)
    return process.returncode, tail
