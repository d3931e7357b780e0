"""A backend without Pulumi and AWS, for tests of the commands: its stacks are what the test says."""

import json
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import server_health, server_rollback
from cli.backends import Backend, CommandResult
from release.changes import UNKNOWN
from release.health import Check, Issue, ServerReport
from settings.project_files import SERVICES_KEY, environment_file
from tests.unit.release_builders import ENVIRONMENTS, Clock, child_urn, config_in_file, replace_clock, service_urn

TOO_FEW_SERVERS = Issue(Check.TOO_FEW_SERVERS, "g needs at least 2 healthy servers, but has 0")


def group_urn(service: str, stack: str = "beta") -> str:
    """Return the URN of a service's Auto Scaling group."""
    return child_urn(service_urn(service, stack), "aws:autoscaling/group:Group", f"{service}-servers-group")


class FakeBackend(Backend):
    """A backend in which every environment has run what its file says for three days.

    Attributes:
        changed_services: The services whose servers the next previews replace.
        changed_by_code: Those of them whose servers the program replaces, whatever the configuration is.
        results: How the next updates end, one after the other.
        runs: The arguments of the updates so far.
        remaining_changes: How many times the state changes while someone looks at it.
        export_count: How many times the state was read.
        missing: The stacks that do not exist.
        pending: URNs of resources that a killed update was creating. Nobody knows how to look for them.
    """

    name = "sandbox"

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Start with every environment deployed, and a next update of members that succeeds."""
        self.folder, self.clock = folder, clock
        self.changed_services, self.results = ["members"], [CommandResult(0)]
        self.changed_by_code: list[str] = []
        self.runs: list[list[str]] = []
        self.remaining_changes = self.export_count = 0
        self.missing: set[str] = set()
        self.pending: list[str] = []
        self.config = {stack: config_in_file(folder, stack) for stack in ENVIRONMENTS}
        self.history: dict[str, list[tuple[str, dict[str, Any], datetime]]] = {
            stack: [("succeeded", self.config[stack], clock.now - timedelta(days=3))] for stack in ENVIRONMENTS
        }

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Answer as Pulumi would."""
        command = arguments[1] if arguments[0] == "stack" else arguments[0]
        answer = getattr(self, f"answer_{command}")(stack, list(arguments))
        return subprocess.CompletedProcess(list(arguments), 0, json.dumps(answer), "")

    def answer_history(self, stack: str, _arguments: list[str]) -> list[dict[str, Any]]:
        """Return the stack's updates, newest first."""

        def recorded(config: dict[str, Any]) -> dict[str, Any]:
            texts = {
                key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
                for key, value in config.items()
            }
            return {key: {"value": text, "secret": False} for key, text in texts.items()}

        return [
            {"kind": "update", "result": result, "endTime": ended.isoformat(), "config": recorded(config)}
            for result, config, ended in self.history[stack]
        ]

    def answer_export(self, stack: str, _arguments: list[str]) -> dict[str, Any]:
        """Return the stack's state; another one each time while `remaining_changes` lasts."""
        self.export_count += 1
        urns = [(service_urn(name, stack), "", False) for name in self.config[stack][SERVICES_KEY]]
        urns.append((group_urn("members", stack), service_urn("members", stack), True))
        resources = [
            {"urn": urn, "parent": parent, "custom": custom, "outputs": {"name": "g"}} for urn, parent, custom in urns
        ]
        self.remaining_changes = max(self.remaining_changes - 1, 0)
        operations = [
            {"resource": {"urn": urn, "type": "aws:other:Type", "inputs": {}}, "type": "creating"}
            for urn in self.pending
        ]
        return {
            "deployment": {
                "resources": resources,
                "serial": self.remaining_changes,
                "pending_operations": operations,
            }
        }

    def answer_preview(self, stack: str, arguments: list[str]) -> dict[str, Any]:
        """Return a preview, and write its plan. With a configuration file of its own, it shows what code changes."""
        Path(arguments[arguments.index("--save-plan") + 1]).write_text("{}", encoding="utf-8")
        if "--config-file" in arguments:
            file = Path(arguments[arguments.index("--config-file") + 1])
            assert file.name == environment_file(stack)
            assert "config:" in file.read_text(encoding="utf-8")
        changed = self.changed_by_code if "--config-file" in arguments else self.changed_services
        return {"steps": [self.replaced_servers(name, stack) for name in changed]}

    def replaced_servers(self, service: str, stack: str) -> dict[str, Any]:
        """Return the step that makes a group use a new version of its launch template."""
        group = {"urn": group_urn(service, stack), "parent": service_urn(service, stack)}
        old, new = ({**group, "inputs": {"launchTemplate": {"version": version}}} for version in ("1", UNKNOWN))
        return {"op": "update", "urn": group["urn"], "oldState": old, "newState": new}

    def answer_output(self, stack: str, _arguments: list[str]) -> dict[str, Any]:
        """Return the stack's outputs."""
        release = self.history[stack][0][1][SERVICES_KEY]["members"]["release"]
        members = {
            "address": f"https://members.{stack}.100xglobal.com",
            "release": release["version"],
            "servers": "1 to 2",
            "database": "members-database-1a2b3c4",
        }
        return {"environment": {"domain": f"{stack}.100xglobal.com"}, "services": {"members": members}}

    def run(self, arguments: Sequence[str], stack: str) -> CommandResult:
        """End as the test says; a successful update deploys what the file says."""
        self.runs.append(list(arguments))
        result = self.results.pop(0)
        if not result.locked_by:
            outcome = "failed" if result.exit_code else "succeeded"
            self.history[stack].insert(0, (outcome, config_in_file(self.folder, stack), self.clock()))
        return result

    def exists(self, stack: str) -> bool:
        """Tell whether the stack exists."""
        return stack not in self.missing

    def locked_by(self, stack: str) -> str:
        """Return nothing: nobody else updates the stack."""
        del stack
        return ""

    def queue_folder(self, stack: str) -> Path:
        """Return a folder for the queue."""
        return self.folder / ".queue" / stack

    def memory_folder(self, stack: str) -> Path:
        """Return a folder for what was deployed."""
        return self.folder / ".memory" / stack

    def configuration_file(self, folder: Path, stack: str) -> Path:
        """Return the environment's file."""
        return folder / environment_file(stack)

    def aws_session(self, stack: str) -> dict[str, Any]:
        """Fail: the tests replace everything that asks AWS."""
        raise AssertionError(stack)


def make_backend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """Return a backend for a folder of environment files, with an artificial clock and a terminal of 100 columns.

    AWS reports that all servers are healthy.
    """
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # settings of rich that add colors
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(server_health, "statuses", lambda *_: [])
    monkeypatch.setattr(server_health, "rolled_back_groups", lambda *_: [])
    monkeypatch.setattr(server_health, "wait_for_servers", lambda *_: set())
    monkeypatch.setattr(server_rollback, "return_groups", return_groups)
    monkeypatch.setattr(server_health, "server_report", lambda *_: ServerReport())
    set_unhealthy(monkeypatch)
    return FakeBackend(folder, replace_clock(monkeypatch))


def return_groups(
    _backend: object, _deployed: object, services: Sequence[str], _before: object
) -> dict[str, list[str]]:
    """Pretend that the servers of services that fail return to the version before."""
    return {
        service: ["g runs launch template version 1 again; the servers of version 2 failed"] for service in services
    }


def set_unhealthy(monkeypatch: pytest.MonkeyPatch, *unhealthy: str) -> None:
    """Make AWS report that the servers of some services are unhealthy, and those of all others healthy."""

    def server_issues(
        _backend: object, _deployed: object, services: Sequence[str], _failing: object = ()
    ) -> dict[str, list[Issue]]:
        return {service: [TOO_FEW_SERVERS] if service in unhealthy else [] for service in services}

    monkeypatch.setattr(server_health, "server_issues", server_issues)
