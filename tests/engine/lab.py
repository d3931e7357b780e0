"""Small Pulumi programs on the real engine, for what the whole program cannot show."""

import json
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.session import Session

STACK = "test"
NAME_LENGTH = 40  # Pulumi limits the names of projects


@dataclass(frozen=True)
class Lab:
    """A project with one stack, `test`, in the tests' sandbox."""

    session: Session
    folder: Path

    @property
    def name(self) -> str:
        """The project's name."""
        return "lab-" + self.folder.name.replace("_", "-")[:NAME_LENGTH]

    def write(self, program: str, config: str = "config: {aws:region: us-east-1}") -> None:
        """Write the project's files, or replace them. The stack's encryption salt stays."""
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.name}\nruntime: python\n", encoding="utf-8")
        stack_file = self.folder / f"Pulumi.{STACK}.yaml"
        lines = stack_file.read_text(encoding="utf-8").splitlines() if stack_file.exists() else []
        salt = [line for line in lines if line.startswith("encryptionsalt")]
        stack_file.write_text("\n".join([config, *salt]) + "\n", encoding="utf-8")
        (self.folder / "__main__.py").write_text(textwrap.dedent(program), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return the environment variables for Pulumi, which runs in the project's folder."""
        variables = self.session.environment(STACK) | {"PULUMI_OPTION_CWD": str(self.folder)}
        variables.pop("INFRA_SANDBOX_STALE_CHECK", None)  # it is about the files of this project
        return variables

    def pulumi(self, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run Pulumi on the stack. Its standard output includes its standard error."""
        command = [str(self.session.engine.binary), *arguments, "--stack", STACK, "--non-interactive"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables() | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def init(self) -> None:
        """Create the stack."""
        command = [str(self.session.engine.binary), "stack", "init", STACK, "--non-interactive"]
        done = subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def up(self, *options: str) -> str:
        """Update the stack and return Pulumi's output. The test fails if the update fails."""
        done = self.pulumi("up", "--yes", "--skip-preview", *options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def steps(self) -> dict[str, dict[str, Any]]:
        """Return the steps of a preview that change something, by the resource's name."""
        done = self.pulumi("preview", "--json")
        assert done.returncode == 0, done.stdout
        start = done.stdout.index("{\n")
        steps = json.loads(done.stdout[start:])["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step for step in steps if step["op"] != "same"}

    def resource(self, name: str) -> dict[str, Any]:
        """Return a resource from the state."""
        done = self.pulumi("stack", "export")
        resources: list[dict[str, Any]] = json.loads(done.stdout)["deployment"]["resources"]
        matches = [resource for resource in resources if resource["urn"].endswith(f"::{name}")]
        assert matches, f"{name} is not in the state"
        return matches[0]

    def aws(self, service: str) -> Any:
        """Return a boto3 client for the emulator, in the stack's account."""
        import boto3

        variables = self.variables()
        return boto3.client(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
