"""The tools of one clone's sandbox: the engine, its language host and the AWS provider. Found or installed once."""

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from common.files import ROOT, exclusive_lock, read_json, write_private
from sandbox import aws_provider
from sandbox.console import say
from sandbox.engine import obtain as engine_tools
from sandbox.engine.obtain import Engine
from sandbox.paths import Paths

LANGUAGE_HOST = ROOT / "sandbox" / "engine" / "language_host.py"


@dataclass(frozen=True)
class Tools:
    """The installed tools.

    Attributes:
        engine: The Pulumi CLI.
        terraform_provider: Terraform's AWS provider, which the bridge drives; None with Pulumi's official plugin.
    """

    engine: Engine
    terraform_provider: Path | None


def ensure(paths: Paths) -> Tools:
    """Return the tools, after installing what is missing. SandboxError if one of them cannot be installed."""
    installed = read_inventory(paths)
    if installed:
        return installed
    with exclusive_lock(paths.base / "tools.lock", "is installing the sandbox's tools", say):
        return read_inventory(paths) or install(paths)


def versions() -> dict[str, str]:
    """Return what the tools depend on. If any of it changes, they are looked for again."""
    return {
        # aws_provider.py writes the launchers of the plugins.
        "launchers": hashlib.sha256(Path(aws_provider.__file__).read_bytes()).hexdigest()[:12],
        "pulumi": installed_version("pulumi"),
        "pulumi_aws": installed_version("pulumi_aws"),
        "python": sys.executable,
        "root": str(ROOT),
    }


def read_inventory(paths: Paths) -> Tools | None:
    """Return the tools that an earlier run installed, or None if the inventory is outdated or a file is missing."""
    inventory = read_json(paths.tools)
    files = inventory.get("files")
    if inventory.get("versions") != versions() or not isinstance(files, list):
        return None
    if not all(Path(file).exists() for file in files):
        return None
    engine = Engine(
        Path(str(files[0])), str(inventory["version"]), str(inventory["how"]), bool(inventory["has_language_host"])
    )
    return Tools(engine, Path(str(inventory["terraform_provider"])) if inventory["terraform_provider"] else None)


def install(paths: Paths) -> Tools:
    """Install the engine, its language host and the AWS provider, and write their inventory."""
    engine = engine_tools.obtain()
    language_host = install_language_host(paths, engine)
    provider = aws_provider.obtain(paths, engine)
    aws_provider.install_bridge(paths, provider)
    files = [engine.binary, language_host, aws_provider.plugin_folder(paths), provider.terraform_binary]
    inventory = {
        "versions": versions(),
        "files": [str(file) for file in files if file],
        "version": engine.version,
        "how": engine.how,
        "has_language_host": engine.has_language_host,
        "provider": provider.how,
        "terraform_provider": str(provider.terraform_binary) if provider.terraform_binary else "",
    }
    write_private(paths.tools, json.dumps(inventory, indent=1))
    return Tools(engine, provider.terraform_binary)


def install_language_host(paths: Paths, engine: Engine) -> Path | None:
    """Install a launcher of the sandbox's language host, unless the engine came with Pulumi's own; return its path."""
    plugin = f"language-python-v{engine.version.removeprefix('v')}"
    launcher = paths.home / "plugins" / plugin / "pulumi-language-python"
    shutil.rmtree(launcher.parent, ignore_errors=True)
    if engine.has_language_host:
        say("language host: Pulumi's own, which came with the engine")
        return None
    aws_provider.write_launcher(launcher, [str(LANGUAGE_HOST)])
    say(f"language host: {LANGUAGE_HOST.relative_to(ROOT)}, because the engine came without one")
    return launcher
