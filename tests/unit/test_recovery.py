"""`./infra up` after an update that was cut off: what it finds out, and what it does to the state."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import event_log, recovery
from cli.recovery import NOTE, recover
from common.errors import InfraError
from tests.unit.fake_backend import FakeBackend
from tests.unit.release_builders import Clock

TYPE = "aws:ec2/vpc:Vpc"


def urn(name: str) -> str:
    """Return the URN of a resource."""
    return f"urn:pulumi:beta::p::{TYPE}::{name}"


def operation(name: str, kind: str = "creating") -> dict[str, Any]:
    """Return an operation that did not complete."""
    return {"resource": {"urn": urn(name), "type": TYPE, "inputs": {"name": name}}, "type": kind}


class KilledBackend(FakeBackend):
    """Answers as Pulumi does for a stack whose last update was killed, and keeps the state that is imported."""

    def __init__(self, folder: Path, clock: Clock, operations: Sequence[Mapping[str, Any]]) -> None:
        """Start with one resource, and these operations that did not complete."""
        super().__init__(folder, clock)
        self.commands: list[list[str]] = []
        self.fails_at = ""
        known = {"urn": urn("known"), "type": TYPE, "id": "vpc-known", "inputs": {}, "outputs": {}}
        self.exported: dict[str, Any] = {
            "version": 3,
            "deployment": {"resources": [known], "pending_operations": list(operations)},
        }

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Run a Pulumi command."""
        assert stack == "beta"
        command = arguments[1] if arguments[0] == "stack" else arguments[0]
        self.commands.append([command, *(value for value in arguments if value.startswith("urn:"))])
        if command == self.fails_at:
            return subprocess.CompletedProcess(list(arguments), 1, "", "error: no")
        if command == "import":
            self.exported = json.loads(Path(arguments[-1]).read_text(encoding="utf-8"))
        if command == "refresh":
            for resource in self.exported["deployment"]["resources"]:
                resource["inputs"], resource["outputs"] = {}, {"arn": f"arn:{resource['id']}"}
        return subprocess.CompletedProcess(list(arguments), 0, json.dumps(self.exported), "")

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources by URN."""
        return {resource["urn"]: resource for resource in self.exported["deployment"]["resources"]}

    @property
    def names(self) -> list[str]:
        """Return the Pulumi commands that ran."""
        return [command for command, *_ in self.commands]


Killed = Callable[..., KilledBackend]  # takes the operations that did not complete


@pytest.fixture
def killed(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Killed:
    """Return a function that makes a backend, whose AWS knows a resource by each name but one."""
    found: dict[str, list[str] | None] = {
        "made": ["vpc-1"],
        "twice": ["vpc-1", "vpc-2"],
        "known": ["vpc-known"],
        "missing": [],
        "odd": None,
    }

    class FakeLookup:
        """Stands in for AWS."""

        def __init__(self, _clients: object) -> None:
            """Need no client."""

        def find(self, _type: str, inputs: Mapping[str, Any]) -> list[str] | None:
            """Return what AWS has."""
            return found[inputs["name"]]

        def wait_until_available(self, *_: object) -> None:
            """Nothing takes time."""

    monkeypatch.setattr(recovery, "AwsClients", lambda *_: None)
    monkeypatch.setattr(recovery, "Lookup", FakeLookup)
    return lambda *operations: KilledBackend(release_folder, Clock(), operations)


def test_without_unfinished_operations_nothing_is_asked(killed: Killed) -> None:
    """An ordinary `up` only reads the state."""
    backend = killed()
    recover(backend, "beta")
    assert backend.names == ["export"]


def test_what_exists_is_adopted_and_the_rest_forgotten(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    """The adopted resource has the program's inputs and AWS's outputs, and nothing is pending any more."""
    backend = killed(operation("made"), operation("missing"), operation("known", "updating"))
    recover(backend, "beta")
    assert backend.names == ["export", "export", "import", "export", "refresh", "export", "import"]
    assert backend.commands[4] == ["refresh", urn("made"), urn("known")]
    assert "pending_operations" not in backend.exported["deployment"]
    assert set(backend.resources) == {urn("known"), urn("made")}
    made = backend.resources[urn("made")]
    assert (made["id"], made["inputs"], made["outputs"]) == (
        "vpc-1",
        {"name": "made"},
        {"name": "made", "arn": "arn:vpc-1"},
    )
    assert capsys.readouterr().out == (
        "  made: exists as vpc-1\n"
        "  missing: does not exist, or can be created again\n"
        "  known: exists; its state is read from AWS (updating)\n"
    )
    recover(backend, "beta")
    assert backend.names[7:] == ["export"]


def test_what_pulumi_had_created_is_adopted_by_its_id(killed: Killed) -> None:
    """Pulumi was killed between AWS's answer and its own record of it, so nobody has to look for the resource."""
    created = operation("odd")
    created["resource"] |= {"id": "vpc-9", "outputs": {"name": "odd"}}
    backend = killed(created)
    recover(backend, "beta")
    assert backend.resources[urn("odd")]["id"] == "vpc-9"


def test_what_the_state_already_has_is_not_adopted_again(killed: Killed) -> None:
    """A resource of the state can look like the one that was being created."""
    backend = killed(operation("known"))
    recover(backend, "beta")
    assert list(backend.resources) == [urn("known")]


@pytest.mark.parametrize(("name", "advice"), [("twice", "vpc-1, vpc-2"), ("odd", "unknown how to find out")])
def test_what_is_unclear_is_left_to_a_person(killed: Killed, name: str, advice: str) -> None:
    """The state is not changed, not even for the operations that are clear."""
    backend = killed(operation("made"), operation(name))
    with pytest.raises(InfraError, match=advice):
        recover(backend, "beta")
    assert set(backend.names) == {"export"}


def test_a_recovery_that_is_interrupted_continues(killed: Killed) -> None:
    """If AWS cannot be read after the state was changed, the next run reads it."""
    backend = killed(operation("made"))
    backend.fails_at = "refresh"
    with pytest.raises(InfraError, match="Run the same command again"):
        recover(backend, "beta")
    assert (backend.memory_folder("beta") / NOTE).exists()
    backend.fails_at = ""
    recover(backend, "beta")
    assert backend.resources[urn("made")]["outputs"] == {"name": "made", "arn": "arn:vpc-1"}
    assert not (backend.memory_folder("beta") / NOTE).exists()


def failed(name: str, message: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a creation that failed. fields: more of what the log has about the resource."""
    state = {**operation(name)["resource"], "custom": True, "outputs": {}, "id": "", **fields}
    metadata = {"op": "create", "urn": urn(name), "new": state}
    return [
        {"diagnosticEvent": {"urn": urn(name), "message": message}},
        {"resOpFailedEvent": {"metadata": metadata}},
    ]


def write_log(backend: FakeBackend, *events: Mapping[str, Any]) -> None:
    """Leave a log of events, whose last line is incomplete."""
    command = event_log.options(backend.memory_folder("beta"))
    text = "".join(json.dumps({"sequence": number, **event}) + "\n" for number, event in enumerate(events))
    Path(command[-1]).write_text(f'{text}{{"sequence": 9', encoding="utf-8")


def test_a_creation_without_an_answer_is_looked_up(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    """The connection broke, but AWS may have created the resource. The log is read once."""
    backend = killed()
    lost = "operation error EC2: CreateVpc, request send failed, EOF"
    write_log(backend, *failed("made", lost), *failed("missing", lost), *failed("odd", lost))
    recover(backend, "beta")
    made = backend.resources[urn("made")]
    assert (made["id"], made["inputs"]) == ("vpc-1", {"name": "made"})
    assert set(backend.resources) == {urn("known"), urn("made")}
    assert capsys.readouterr().out == (
        "  made: exists as vpc-1\n"
        "  missing: does not exist, or can be created again\n"
        "  odd: failed; if AWS has it nevertheless, delete it there\n"
    )
    recover(backend, "beta")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "events",
    [
        failed("made", "operation error EC2: CreateVpc, https response error StatusCode: 400, VpcLimitExceeded"),
        failed("made", "context canceled", id="vpc-1"),
        failed("known", "EOF"),
        failed("made", "EOF", inputs={"name": "made", "password": "[secret]"}),
    ],
    ids=["refused", "in the state", "created since", "with a secret"],
)
def test_other_failed_creations_are_not_looked_up(killed: Killed, events: list[dict[str, Any]]) -> None:
    """The state is right, or cannot be completed."""
    backend = killed()
    write_log(backend, *events)
    recover(backend, "beta")
    assert backend.names == ["export"]


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_state_that_cannot_be_read_or_written_is_reported(killed: Killed, command: str) -> None:
    """The error contains Pulumi's own."""
    backend = killed(operation("made"))
    backend.fails_at = command
    with pytest.raises(InfraError, match="error: no"):
        recover(backend, "beta")
