"""The project's fixed names: its files and the configuration keys in them. The only place that spells them."""

from pathlib import Path

PROJECT = "100xglobal"
PROJECT_FILE = "Pulumi.yaml"
REGION_KEY = "aws:region"
ACCOUNTS_KEY = "aws:allowedAccountIds"
PROFILE_KEY = "aws:profile"
ENVIRONMENT_KEY = f"{PROJECT}:environment"
SERVICES_KEY = f"{PROJECT}:services"
PROMOTION = "promotion"  # project configuration in Pulumi.yaml, where keys have no project prefix
PROMOTION_KEY = f"{PROJECT}:{PROMOTION}"  # how an update's history spells it
PREFIX, SUFFIX = "Pulumi.", ".yaml"


def environment_file(environment: str) -> str:
    """Return the name of an environment's file, such as `Pulumi.beta.yaml`."""
    return f"{PREFIX}{environment}{SUFFIX}"


def environment_of(path: Path) -> str:
    """Return the environment that a file describes: `beta` for `Pulumi.beta.yaml`."""
    return path.name.removeprefix(PREFIX).removesuffix(SUFFIX)


def environment_files(folder: Path) -> list[Path]:
    """Return the files of all environments in a folder, sorted by name."""
    return sorted(path for path in folder.glob(environment_file("*")) if path.is_file())


def environment_names(folder: Path) -> list[str]:
    """Return the names of all environments that have a file in a folder, sorted."""
    return [environment_of(path) for path in environment_files(folder)]
