"""Gets an AWS provider for the engine: the official plugin, else the bridge on a Terraform AWS provider found on this machine."""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from sandbox.console import progress, tell
from sandbox.engine.obtain import Engine, run_visibly, unreachable
from sandbox.errors import SandboxError
from sandbox.paths import ROOT, Paths, only_one, user_cache

REGISTRY_PATH = Path("registry.terraform.io") / "hashicorp" / "aws"
ADD_ON_FOLDERS = ("/opt", "/usr/share", "/usr/local/share")
SEARCH_DEPTH = 4  # folders below /opt/* that are looked into: /opt/<product>/<...>/registry.terraform.io
OFFICIAL_INSTALL_SECONDS = 300
TERRAFORM_INIT_SECONDS = 240


@dataclass(frozen=True)
class Provider:
    """An AWS provider: the official plugin (no binary of Terraform's) or the bridge."""

    terraform_binary: Path | None
    how: str


def obtain(paths: Paths, engine: Engine) -> Provider:
    """Return a provider, by the first way that works; each way that fails is told with its reason."""
    refused: list[str] = []
    official = official_plugin(paths, engine)
    if isinstance(official, Provider):
        tell(f"AWS provider: {official.how}")
        return official
    refused.append(official)
    tell(f"AWS provider: {official}")
    for how, find in (("Terraform's configuration and folders", from_terraform_folders), ("add-on folders of the system", from_add_on_folders)):
        binary = newest(find())
        if binary:
            tell(f"AWS provider: sandbox/bridge on {binary.name}, from {how} ({binary.parent})")
            return Provider(binary, f"bridge on {binary}")
        refused.append(f"no Terraform AWS provider in {how}")
        tell(f"AWS provider: {refused[-1]}")
    fetched = from_terraform_init()
    if isinstance(fetched, Path):
        tell(f"AWS provider: sandbox/bridge on {fetched.name}, by terraform init")
        return Provider(fetched, f"bridge on {fetched}")
    refused.append(fetched)
    message = (
        "no AWS provider could be had:\n  - " + "\n  - ".join(refused) + "\nInstall one of these and run the same command again: "
        f"the official plugin (`pulumi plugin install resource aws v{installed_version('pulumi_aws')}` with PULUMI_HOME={paths.home}), "
        "or Terraform's AWS provider in one of its plugin folders (`terraform providers mirror`)."
    )
    raise SandboxError(message)


def plugin_folder(paths: Paths) -> Path:
    """Return where the engine looks for the plugin of the installed pulumi_aws."""
    return paths.home / "plugins" / f"resource-aws-v{installed_version('pulumi_aws')}"


def official_plugin(paths: Paths, engine: Engine) -> Provider | str:
    """Install the official plugin, unless its download cannot be reached."""
    version = installed_version("pulumi_aws")
    reason = unreachable("get.pulumi.com")
    if reason:
        return f"official plugin: {reason}"
    shutil.rmtree(plugin_folder(paths), ignore_errors=True)  # a launcher of the bridge would be taken for it
    with progress(f"downloading the official AWS plugin v{version}") as line:
        environment = {**os.environ, "PULUMI_HOME": str(paths.home), "PULUMI_SKIP_UPDATE_CHECK": "1"}
        command = [str(engine.binary), "plugin", "install", "resource", "aws", f"v{version}"]
        status, tail = run_visibly(command, line.show, deadline_seconds=OFFICIAL_INSTALL_SECONDS, environment=environment)
    if status == 0 and (plugin_folder(paths) / "pulumi-resource-aws").exists():
        return Provider(None, f"official plugin v{version}")
    return f"official plugin: pulumi plugin install failed ({tail[-1] if tail else f'exit {status}'})"


# --- Terraform's AWS provider, where terraform itself would look


def configuration_file() -> Path:
    """Return terraform's configuration file; it may be missing."""
    named = os.environ.get("TF_CLI_CONFIG_FILE") or os.environ.get("TERRAFORM_CONFIG")
    return Path(named) if named else Path.home() / ".terraformrc"


def from_terraform_folders() -> Iterator[Path]:
    """Yield provider trees in terraform's mirrors, plugin cache and implied folders (`terraform help cli-config`)."""
    text = ""
    if configuration_file().is_file():
        text = configuration_file().read_text(encoding="utf-8", errors="replace")
    for mirror in re.findall(r"filesystem_mirror\s*\{[^}]*?path\s*=\s*\"([^\"]+)\"", text, re.DOTALL):
        yield Path(mirror).expanduser() / REGISTRY_PATH
    for cache in [os.environ.get("TF_PLUGIN_CACHE_DIR"), *re.findall(r"^\s*plugin_cache_dir\s*=\s*\"([^\"]+)\"", text, re.MULTILINE)]:
        if cache:
            yield Path(cache.replace("$HOME", str(Path.home()))).expanduser() / REGISTRY_PATH
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    for folder in (Path.home() / ".terraform.d" / "plugins", ROOT / "terraform.d" / "plugins", *(Path(base) / "terraform" / "plugins" for base in (data, *shared))):
        yield folder / REGISTRY_PATH
    yield user_cache() / "terraform-init" / ".terraform" / "providers" / REGISTRY_PATH


def from_add_on_folders() -> Iterator[Path]:
    """Yield provider trees anywhere below the folders where systems keep add-ons."""
    for base in ADD_ON_FOLDERS:
        level = [Path(base)]
        for _ in range(SEARCH_DEPTH):
            level = [folder for parent in level for folder in subfolders(parent)]
            yield from (folder.parent / REGISTRY_PATH for folder in level if folder.name == REGISTRY_PATH.parts[0])


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder; none where it cannot be read."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []


def platform_name() -> str:
    """Return this machine's platform as Terraform writes it: `linux_amd64`."""
    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def newest(trees: Iterator[Path]) -> Path | None:
    """Return the newest provider binary for this machine in provider trees (<tree>/<version>/<platform>/)."""
    found: list[tuple[tuple[int, ...], Path]] = []
    for tree in trees:
        for binary in tree.glob(f"*/{platform_name()}/terraform-provider-aws*"):
            numbers = re.match(r"^(\d+)\.(\d+)\.(\d+)$", binary.parent.parent.name)
            if numbers and os.access(binary, os.X_OK):
                found.append((tuple(map(int, numbers.groups())), binary))
    return max(found)[1] if found else None


def find_binary() -> Path | None:
    """Return Terraform's AWS provider where this machine has it, without fetching anything."""
    return newest(from_terraform_folders()) or newest(from_add_on_folders())


def from_terraform_init() -> Path | str:
    """Let terraform fetch its AWS provider into the user cache."""
    terraform = shutil.which("terraform") or shutil.which("tofu")
    if not terraform:
        return "terraform init: no terraform on PATH"
    folder = user_cache() / "terraform-init"
    with only_one(folder.with_suffix(".lock"), "it fetches Terraform's AWS provider"):
        folder.mkdir(parents=True, exist_ok=True)
        constraint = 'terraform {\n  required_providers {\n    aws = { source = "registry.terraform.io/hashicorp/aws" }\n  }\n}\n'
        (folder / "main.tf").write_text(constraint, encoding="utf-8")
        with progress("terraform init fetches its AWS provider") as line:
            status, tail = run_visibly([terraform, "init", "-no-color", "-input=false"], line.show, folder=folder, deadline_seconds=TERRAFORM_INIT_SECONDS)
    binary = newest(from_terraform_folders())
    if status == 0 and binary:
        return binary
    return f"terraform init failed ({next((text for text in tail if 'rror' in text), f'exit {status}')})"


# --- the bridge as a plugin of the engine


def install_bridge(paths: Paths, provider: Provider) -> None:
    """Make the bridge's table of names where it is missing, and put a launcher where the engine looks for the plugin."""
    if provider.terraform_binary is None:
        return
    with progress("joining the names of pulumi_aws and Terraform (once a pair of versions)") as line:
        command = [sys.executable, "-c", f"from pathlib import Path; from sandbox.bridge import table; table.make(Path({str(provider.terraform_binary)!r}))"]
        status, tail = run_visibly(command, line.show, folder=ROOT)
    if status != 0:
        message = f"the bridge's table of names could not be made: {' / '.join(list(tail)[-3:])}"
        raise SandboxError(message)
    command = bridge_command(provider.terraform_binary)
    claim = ["-I", "-S", str(ROOT / "sandbox" / "bridge" / "claim.py"), *command, "--"]
    write_launcher(plugin_folder(paths) / "pulumi-resource-aws", claim)


def bridge_command(terraform_binary: Path) -> list[str]:
    """Return what starts the bridge; its PYTHONPATH must be this clone."""
    return [sys.executable, "-m", "sandbox.bridge", "--terraform-provider", str(terraform_binary)]


def write_launcher(target: Path, arguments: list[str]) -> None:
    """Write a script that runs Python of this clone's environment, whole or not at all."""
    quoted = " ".join("'" + argument.replace("'", "'\\''") + "'" for argument in [sys.executable, *arguments])
    root = str(ROOT).replace("'", "'\\''")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nPYTHONPATH='{root}' exec {quoted} \"$@\"\n")
    Path(temporary).chmod(0o700)
    Path(temporary).replace(target)
