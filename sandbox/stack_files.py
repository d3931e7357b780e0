"""The stacks' files as the sandbox runs them: copies of the clone's, with an encryption salt of the sandbox's own.

Pulumi writes a salt into Pulumi.<stack>.yaml when a stack is made with a passphrase. The clone's files say how *real* state
is encrypted, so the sandbox must not touch them: it runs a copy of the project from `.sandbox/program`, whose `main` leads
back to the clone's program.
"""

import re
from pathlib import Path

from sandbox.console import tell
from sandbox.errors import SandboxError
from sandbox.paths import ROOT, Paths, write_private

ENCRYPTION_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")


def stacks(root: Path = ROOT) -> list[str]:
    """Return the names of the stacks that have a file."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("Pulumi.*.yaml"))


def require(stack: str, root: Path = ROOT) -> None:
    """Refuse a stack without a file: to Pulumi it would be a stack that wants nothing, and `up` would delete everything."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", stack) or not (root / f"Pulumi.{stack}.yaml").is_file():
        message = f"there is no Pulumi.{stack}.yaml. Pulumi would take that as an environment that wants nothing, and delete all that runs in it. Environments here: {', '.join(stacks(root))}."
        raise SandboxError(message)


def without_encryption(text: str) -> str:
    """Return a stack's file without what says how secrets are encrypted (top-level keys, one line each)."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(tuple(f"{key}:" for key in ENCRYPTION_KEYS)))


def salt_of(text: str) -> str:
    """Return the line with the salt, or an empty text."""
    return next((line for line in text.splitlines() if line.startswith("encryptionsalt:")), "")


def refresh(paths: Paths, root: Path = ROOT) -> None:
    """Make the copies anew from the clone's files; the sandbox's own salts stay."""
    project = (root / "Pulumi.yaml").read_text(encoding="utf-8")
    write_private(paths.program / "Pulumi.yaml", derived_project(project, root))
    for stack in stacks(root):
        write_private(paths.program / f"Pulumi.{stack}.yaml", wanted(paths, root, stack))


def wanted(paths: Paths, root: Path, stack: str) -> str:
    """Return what the copy of a stack's file must hold."""
    copy = paths.program / f"Pulumi.{stack}.yaml"
    salt = salt_of(copy.read_text(encoding="utf-8")) if copy.exists() else ""
    own = without_encryption((root / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return own.rstrip("\n") + "\n" + (salt + "\n" if salt else "")


def tell_of_changes(paths: Paths, root: Path = ROOT) -> None:
    """Say when a command (`config set`) wrote into a copy: the next command makes it anew."""
    for stack in stacks(root):
        copy = paths.program / f"Pulumi.{stack}.yaml"
        if copy.exists() and copy.read_text(encoding="utf-8") != wanted(paths, root, stack) and salt_of(copy.read_text(encoding="utf-8")):
            tell(f"Pulumi wrote into the sandbox's copy of Pulumi.{stack}.yaml, which is made anew from the one in the clone at the next command: make the change there")


def quoted(path: Path) -> str:
    """Return a path as a YAML string."""
    return "'" + str(path).replace("'", "''") + "'"


def derived_project(text: str, root: Path) -> str:
    """Return Pulumi.yaml for the copy: its program and its Python environment are the clone's."""
    text = re.sub(r"(?m)^main:.*\n", "", text)
    text = re.sub(r"(?m)^(\s*virtualenv:).*$", lambda match: f"{match[1]} {quoted(root / '.venv')}", text)
    return f"{text}\nmain: {quoted(root)}\n"
