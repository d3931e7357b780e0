"""Small Pulumi programs on the real engine, for what the whole program cannot show."""

import json
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.session import Session


@dataclass(frozen=True)
class Lab:
    """One project with one stack, `test`, in the tests' sandbox."""

    session: Session
    folder: Path

    def write(self, program: str, config: str = "config: {aws:region: us-east-1}") -> None:
        """Write the program; what the file held before is gone."""
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.name}\nruntime: python\n", encoding="utf-8")
        stack_file = self.folder / "Pulumi.test.yaml"
        salt = [line for line in stack_file.read_text(encoding="utf-8").splitlines() if line.startswith("encryptionsalt")] if stack_file.exists() else []
        stack_file.write_text("\n".join([config, *salt]) + "\n", encoding="utf-8")
        (self.folder / "__main__.py").write_text(textwrap.dedent(program), encoding="utf-8")

    @property
    def name(self) -> str:
        """The project's name."""
        return "lab-" + self.folder.name.replace("_", "-")[:40]

    def pulumi(self, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run Pulumi on the stack; standard error is part of what it printed."""
        variables = self.session.environment("test") | {"PULUMI_OPTION_CWD": str(self.folder)} | (environment or {})
        variables.pop("INFRA_SANDBOX_STALE_CHECK", None)
        command = [str(self.session.engine.binary), *arguments, "--stack", "test", "--non-interactive"]
        return subprocess.run(command, cwd=self.folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    def init(self) -> None:
        """Make the stack."""
        variables = self.session.environment("test") | {"PULUMI_OPTION_CWD": str(self.folder)}
        command = [str(self.session.engine.binary), "stack", "init", "test", "--non-interactive"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def up(self, *options: str) -> str:
        """Update; fail the test if it fails."""
        done = self.pulumi("up", "--yes", "--skip-preview", *options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def steps(self) -> dict[str, dict[str, Any]]:
        """Return a preview's steps by the resource's name."""
        done = self.pulumi("preview", "--json")
        assert done.returncode == 0, done.stdout
        start = done.stdout.index("{\n")
        steps = json.loads(done.stdout[start:])["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step for step in steps if step["op"] != "same"}

    def resource(self, name: str) -> dict[str, Any]:
        """Return one resource of the state."""
        done = self.pulumi("stack", "export")
        found: list[dict[str, Any]] = [r for r in json.loads(done.stdout)["deployment"]["resources"] if r["urn"].endswith(f"::{name}")]
        assert found, f"{name} is not in the state"
        return found[0]
