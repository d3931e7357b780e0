"""Obtains an AWS provider for the engine: Pulumi's official plugin, or else the bridge with Terraform's provider."""

import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from common.errors import SandboxError
from common.files import ROOT, exclusive_lock, user_cache
from sandbox.console import progress, say
from sandbox.engine.obtain import Engine, run_visibly, unreachable
from sandbox.paths import Paths

REGISTRY_PATH = Path("registry.terraform.io") / "hashicorp" / "aws"
ADD_ON_FOLDERS = ("/opt", "/usr/share", "/usr/local/share")
SEARCH_DEPTH = 4  # folder levels below an add-on folder, as in /opt/<product>/<...>/registry.terraform.io
OFFICIAL_INSTALL_SECONDS = 300
TERRAFORM_INIT_SECONDS = 240
REQUIREMENT = """\
terraform {
  required_providers {
    aws = { source = "registry.terraform.io/hashicorp/aws" }
  }
}
"""
NAME_TABLE_SCRIPT = (
    "import sys; from pathlib import Path; from sandbox.bridge import name_table; name_table.ensure(Path(sys.argv[1]))"
)


@dataclass(frozen=True)
class Provider:
    """An AWS provider.

    Attributes:
        terraform_binary: Terraform's AWS provider, which the bridge drives; None with Pulumi's official plugin.
        how: Where it comes from, as messages say it.
    """

    terraform_binary: Path | None
    how: str


def obtain(paths: Paths, engine: Engine) -> Provider:
    """Return a provider from the first source that has one. SandboxError, with the reason of each, if none has."""
    attempts: tuple[Callable[[], Provider | str], ...] = (
        lambda: official_plugin(paths, engine),
        lambda: bridge_with(from_terraform_folders(), "Terraform's configured and default folders"),
        lambda: bridge_with(from_add_on_folders(), "the system's folders for add-ons"),
        from_terraform_init,
    )
    reasons: list[str] = []
    for attempt in attempts:
        result = attempt()
        if isinstance(result, Provider):
            say(f"AWS provider: {result.how}")
            return result
        say(f"AWS provider: {result}")
        reasons.append(result)
    install = shlex.join(
        [str(engine.binary), "plugin", "install", "resource", "aws", f"v{installed_version('pulumi_aws')}"]
    )
    raise SandboxError(
        "no AWS provider is available:\n"
        + "".join(f"  - {reason}\n" for reason in reasons)
        + "Install Pulumi's official plugin:\n"
        f"  PULUMI_HOME={shlex.quote(str(paths.home))} {install}\n"
        "Or install Terraform's AWS provider in one of Terraform's plugin folders. In a folder with a Terraform "
        "configuration that requires hashicorp/aws:\n"
        "  terraform providers mirror ~/.terraform.d/plugins\n"
        "Then run the same command again."
    )


# --- the official plugin


def plugin_folder(paths: Paths) -> Path:
    """Return where the engine looks for the plugin of the installed pulumi_aws."""
    return paths.home / "plugins" / f"resource-aws-v{installed_version('pulumi_aws')}"


def official_plugin(paths: Paths, engine: Engine) -> Provider | str:
    """Install the official plugin; return the reason if it cannot be installed."""
    version = installed_version("pulumi_aws")
    reason = unreachable("get.pulumi.com")
    if reason:
        return f"official plugin: {reason}"
    # Pulumi would take the bridge's launcher for the plugin and install nothing.
    shutil.rmtree(plugin_folder(paths), ignore_errors=True)
    with progress(f"downloading the official AWS plugin v{version}") as line:
        environment = {**os.environ, "PULUMI_HOME": str(paths.home), "PULUMI_SKIP_UPDATE_CHECK": "1"}
        command = [str(engine.binary), "plugin", "install", "resource", "aws", f"v{version}"]
        status, output = run_visibly(
            command, line.show, timeout_seconds=OFFICIAL_INSTALL_SECONDS, environment=environment
        )
    if status == 0 and (plugin_folder(paths) / "pulumi-resource-aws").exists():
        return Provider(None, f"official plugin v{version}")
    return f"official plugin: `pulumi plugin install` failed ({output[-1] if output else f'exit code {status}'})"


# --- Terraform's AWS provider on this machine


def bridge_with(trees: Iterable[Path], description: str) -> Provider | str:
    """Return the bridge with the newest provider in provider trees, or the reason if they have none.

    description: what the trees are, for messages.
    """
    binary = newest(trees)
    if binary is None:
        return f"no Terraform AWS provider in {description}"
    return Provider(binary, f"the bridge with {binary.name} from {description} ({binary.parent})")


def configuration_file() -> Path:
    """Return the path of Terraform's CLI configuration file, which may not exist."""
    path = os.environ.get("TF_CLI_CONFIG_FILE") or os.environ.get("TERRAFORM_CONFIG")
    return Path(path) if path else Path.home() / ".terraformrc"


def from_terraform_folders() -> Iterator[Path]:
    """Yield the provider trees that Terraform searches: mirrors, plugin cache and implied mirrors.

    Source: https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
    """
    configuration = ""
    if configuration_file().is_file():
        configuration = configuration_file().read_text(encoding="utf-8", errors="replace")
    for mirror in re.findall(r"filesystem_mirror\s*\{[^}]*?path\s*=\s*\"([^\"]+)\"", configuration, re.DOTALL):
        yield Path(mirror).expanduser() / REGISTRY_PATH
    for cache in [
        os.environ.get("TF_PLUGIN_CACHE_DIR"),
        *re.findall(r"^\s*plugin_cache_dir\s*=\s*\"([^\"]+)\"", configuration, re.MULTILINE),
    ]:
        if cache:
            yield Path(cache.replace("$HOME", str(Path.home()))).expanduser() / REGISTRY_PATH
    user_data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    system_data = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    for folder in (
        Path.home() / ".terraform.d" / "plugins",
        ROOT / "terraform.d" / "plugins",
        *(Path(base) / "terraform" / "plugins" for base in (user_data, *system_data)),
    ):
        yield folder / REGISTRY_PATH
    yield init_folder() / ".terraform" / "providers" / REGISTRY_PATH


def from_add_on_folders() -> Iterator[Path]:
    """Yield the provider trees that are part of other products on this machine."""
    for base in ADD_ON_FOLDERS:
        level = [Path(base)]
        for _ in range(SEARCH_DEPTH):
            level = [folder for parent in level for folder in subfolders(parent)]
            yield from (folder.parent / REGISTRY_PATH for folder in level if folder.name == REGISTRY_PATH.parts[0])


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, or none if it cannot be read."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []


def platform_name() -> str:
    """Return Terraform's name for this machine's platform, such as `linux_amd64`."""
    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def newest(trees: Iterable[Path]) -> Path | None:
    """Return the newest provider binary for this machine in provider trees, or None.

    A provider tree is a folder with the layout <version>/<platform>/terraform-provider-aws*.
    """
    binaries: list[tuple[tuple[int, ...], Path]] = []
    for tree in trees:
        for binary in tree.glob(f"*/{platform_name()}/terraform-provider-aws*"):
            version = re.match(r"^(\d+)\.(\d+)\.(\d+)$", binary.parent.parent.name)
            if version and os.access(binary, os.X_OK):
                binaries.append((tuple(map(int, version.groups())), binary))
    return max(binaries)[1] if binaries else None


def find_binary() -> Path | None:
    """Return Terraform's AWS provider on this machine, or None. Nothing is downloaded."""
    return newest(from_terraform_folders()) or newest(from_add_on_folders())


def init_folder() -> Path:
    """Return the folder in the user cache in which the sandbox runs `terraform init`."""
    return user_cache() / "terraform-init"


def from_terraform_init() -> Provider | str:
    """Download Terraform's AWS provider with `terraform init`; return the reason if that fails."""
    terraform = shutil.which("terraform") or shutil.which("tofu")
    if not terraform:
        return "terraform init: neither terraform nor tofu is on PATH"
    folder = init_folder()
    with exclusive_lock(folder.with_suffix(".lock"), "is downloading Terraform's AWS provider", say):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "main.tf").write_text(REQUIREMENT, encoding="utf-8")
        with progress("downloading Terraform's AWS provider with terraform init") as line:
            status, output = run_visibly(
                [terraform, "init", "-no-color", "-input=false"],
                line.show,
                folder=folder,
                timeout_seconds=TERRAFORM_INIT_SECONDS,
            )
    binary = newest(from_terraform_folders())
    if status == 0 and binary:
        return Provider(binary, f"the bridge with {binary.name} from terraform init")
    error = next((text for text in output if "rror" in text), f"exit code {status}")
    return f"terraform init failed ({error})"


# --- the bridge as a plugin of the engine


def install_bridge(paths: Paths, provider: Provider) -> None:
    """Install what the bridge needs, if it is used: the table of names, and a launcher in the plugin folder."""
    if provider.terraform_binary is None:
        return
    with progress(
        "building the bridge's table of names, once per version of pulumi_aws and Terraform's provider"
    ) as line:
        status, output = run_visibly(
            [sys.executable, "-c", NAME_TABLE_SCRIPT, str(provider.terraform_binary)], line.show, folder=ROOT
        )
    if status != 0:
        reason = " / ".join(list(output)[-3:]) or f"exit code {status}"
        raise SandboxError(
            f"the bridge's table of names cannot be built: {reason}\n"
            "Without it, the sandbox has no AWS provider. Fix the error above, then run the same command again."
        )
    claim = ["-I", "-S", str(ROOT / "sandbox" / "bridge" / "claim.py")]
    write_launcher(
        plugin_folder(paths) / "pulumi-resource-aws", [*claim, *bridge_command(provider.terraform_binary), "--"]
    )


def bridge_command(terraform_binary: Path) -> list[str]:
    """Return the command that starts the bridge. Its PYTHONPATH must be this clone."""
    return [sys.executable, "-m", "sandbox.bridge", "--terraform-provider", str(terraform_binary)]


def write_launcher(target: Path, arguments: list[str]) -> None:
    """Write a script that runs the Python of this clone's environment with these arguments and the script's own.

    The engine of another process never sees a partially written script.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        command = shlex.join([sys.executable, *arguments])
        file.write(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {command} "$@"\n')
    Path(temporary).chmod(0o700)
    Path(temporary).replace(target)
