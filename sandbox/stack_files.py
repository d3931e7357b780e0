"""The environment files as the engine reads them in the sandbox: copies of the clone's, with their own encryption salt.

When Pulumi creates a stack with a passphrase, it writes a salt into the stack's file. The clone's files say how the
state on AWS is encrypted, so the sandbox must not change them. The engine reads copies in `.sandbox/program` instead,
where `main` in Pulumi.yaml leads back to the clone's program.
"""

import re
from pathlib import Path

from common.errors import SandboxError
from common.files import ROOT, write_private
from sandbox.console import say
from sandbox.paths import Paths
from settings.problems import did_you_mean
from settings.project_files import PROJECT_FILE, environment_file, environment_names

ORGANIZATION = "organization"  # the folder of the second program, and the name of its only stack
SALT_KEY = "encryptionsalt"
ENCRYPTION_KEYS = ("secretsprovider", "encryptedkey", SALT_KEY)
ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]*")


def require_environment_file(environment: str, root: Path = ROOT) -> None:
    """Refuse an environment without a file: Pulumi would treat it as empty, and `up` would delete everything in it."""
    file = environment_file(environment)
    if ENVIRONMENT_NAME.fullmatch(environment) and (root / file).is_file():
        return
    names = environment_names(root)
    raise SandboxError(
        f"there is no {file}. Without it, Pulumi would delete everything in {environment}."
        f"{did_you_mean(environment, names)}\n"
        f"Environments in this clone: {', '.join(names) or 'none'}."
    )


def without_encryption(text: str) -> str:
    """Return an environment file without the top-level keys that say how its secrets are encrypted."""
    prefixes = tuple(f"{key}:" for key in ENCRYPTION_KEYS)  # each of them is one line
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(prefixes))


def salt_line(text: str) -> str:
    """Return the line with the encryption salt, or an empty string."""
    return next((line for line in text.splitlines() if line.startswith(f"{SALT_KEY}:")), "")


def refresh(paths: Paths, root: Path = ROOT) -> None:
    """Write the copies again from the clone's files. The sandbox's own salts stay."""
    copy_project(root, paths.program, root)


def refresh_organization(paths: Paths, root: Path = ROOT) -> None:
    """Write the copies of the files of the organization's program again."""
    copy_project(root / ORGANIZATION, paths.organization, root)


def copy_project(program: Path, folder: Path, root: Path) -> None:
    """Write the copies of a program's Pulumi.yaml and stack files into a folder."""
    project = (program / PROJECT_FILE).read_text(encoding="utf-8")
    write_private(folder / PROJECT_FILE, project_copy(project, program, root / ".venv"))
    for stack in environment_names(program):
        file = environment_file(stack)
        write_private(folder / file, stack_copy(program / file, folder / file))


def stack_copy(original: Path, copy: Path) -> str:
    """Return what the copy of a stack's file should contain."""
    salt = salt_line(copy.read_text(encoding="utf-8")) if copy.exists() else ""
    content = without_encryption(original.read_text(encoding="utf-8"))
    return content.rstrip("\n") + "\n" + (salt + "\n" if salt else "")


def project_copy(text: str, program: Path, virtualenv: Path) -> str:
    """Return Pulumi.yaml for another folder than its own, with the folders of the program and of its libraries."""
    text = re.sub(r"(?m)^main:.*\n", "", text)
    text = re.sub(r"(?m)^(\s*virtualenv:).*$", lambda match: f"{match[1]} {yaml_string(virtualenv)}", text)
    return f"{text}\nmain: {yaml_string(program)}\n"


def yaml_string(path: Path) -> str:
    """Return a path as a YAML string."""
    return "'" + str(path).replace("'", "''") + "'"


def warn_about_changed_copies(paths: Paths, root: Path = ROOT) -> None:
    """Say if Pulumi changed a copy, as `pulumi config set` does: the next command would overwrite the change."""
    for environment in environment_names(root):
        file = environment_file(environment)
        copy = paths.program / file
        content = copy.read_text(encoding="utf-8") if copy.exists() else ""
        if salt_line(content) and content != stack_copy(root / file, copy):
            say(
                f"Pulumi changed the sandbox's copy of {file}. The next command will overwrite that copy, so make the "
                f"change in the clone's own file:\n  {root / file}"
            )
