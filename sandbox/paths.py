"""The folders of one clone's sandbox, all inside `.sandbox/`."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import SandboxError
from common.files import ROOT

PRIVATE_FOLDER_MODE = 0o700  # state and plans can contain secrets


@dataclass(frozen=True)
class Paths:
    """The folders of one clone's sandbox."""

    base: Path = ROOT / ".sandbox"

    @property
    def home(self) -> Path:
        """PULUMI_HOME: the engine's plugins, and none of the user's credentials."""
        return self.base / "home"

    @property
    def state(self) -> Path:
        """The file backend with the state of all stacks."""
        return self.base / "state"

    @property
    def program(self) -> Path:
        """The copies of Pulumi.yaml and of the environment files that the engine reads, see sandbox/stack_files.py."""
        return self.base / "program"

    @property
    def organization(self) -> Path:
        """The copies of the files of the organization's program."""
        return self.base / "organization"

    @property
    def emulator(self) -> Path:
        """The emulator's data, log and process file."""
        return self.base / "emulator"

    @property
    def tools(self) -> Path:
        """The inventory of the installed tools, see sandbox/tools.py."""
        return self.base / "tools.json"

    def create(self) -> None:
        """Create the folders, readable by their owner only."""
        try:
            for folder in (
                self.base,
                self.home / "plugins",
                self.state,
                self.program,
                self.organization,
                self.emulator,
            ):
                folder.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(
                f"cannot write to {self.base}, where the sandbox keeps its state: {error.strerror}.\n"
                "Use a clone in a folder that you can write to."
            ) from error
