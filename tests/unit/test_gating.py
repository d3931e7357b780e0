"""`./infra up` around the gate, with a place that is none: what is applied is what was gated, and the record tells what became of it."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli import aws_health, gating, promotion, queueing
from cli.gating import Options
from cli.places import Outcome, Place
from release import record
from release.deployed import fingerprint
from release.promote import Request, Servers, release_in
from sandbox.errors import SandboxError
from tests.unit.conftest import ROOT, STACKS

SERVICE = "hundredx:components:ServiceEnvironment"
MEMBERS = f"urn:pulumi:beta::100xglobal::{SERVICE}::members"
GROUP = f"urn:pulumi:beta::100xglobal::{SERVICE}$aws:autoscaling/group:Group::members-servers-group"


class Pretended(Place):
    """A place whose stacks are what the test says. changes: services that a preview changes. outcomes: how updates end, one after the other."""

    name = "sandbox"

    def __init__(self, folder: Path) -> None:
        """Start with every environment up as its file says, for three days."""
        self.folder, self.changes, self.outcomes = folder, ["members"], [Outcome(0)]
        self.updates: list[list[str]] = []
        self.meddled, self.exports = 0, 0
        self.config = {stack: YAML(typ="safe").load(folder / f"Pulumi.{stack}.yaml")["config"] for stack in STACKS}
        self.history = {stack: [("succeeded", self.config[stack], datetime.now(UTC) - timedelta(days=3))] for stack in STACKS}

    def capture(self, arguments: Sequence[str], stack: str) -> "subprocess.CompletedProcess[str]":
        """Answer as Pulumi would."""
        verb = arguments[1] if arguments[0] == "stack" else arguments[0]
        return subprocess.CompletedProcess(list(arguments), 0, json.dumps(getattr(self, f"say_{verb}")(stack, list(arguments))), "")

    def say_history(self, stack: str, _: list[str]) -> Any:
        """Return the stack's updates."""

        def values(config: dict[str, Any]) -> dict[str, Any]:
            return {key: {"value": value if isinstance(value, str) else json.dumps(value, separators=(",", ":")), "secret": False} for key, value in config.items()}

        return [{"kind": "update", "result": result, "endTime": at.isoformat(), "config": values(config)} for result, config, at in self.history[stack]]

    def say_export(self, stack: str, _: list[str]) -> Any:
        """Return the stack's state; while somebody meddles, another one each time."""
        self.exports += 1
        urns = [(f"urn:pulumi:{stack}::100xglobal::{SERVICE}::{name}", "", False) for name in self.config[stack]["100xglobal:services"]]
        urns.append((GROUP.replace("beta", stack), MEMBERS.replace("beta", stack), True))
        resources = [{"urn": urn, "parent": parent, "custom": custom, "outputs": {"name": "g"}} for urn, parent, custom in urns]
        self.meddled -= self.meddled > 0
        return {"deployment": {"resources": resources, "serial": self.meddled}}

    def say_preview(self, stack: str, arguments: list[str]) -> Any:
        """Return a preview, and write its plan."""
        Path(arguments[arguments.index("--save-plan") + 1]).write_text("{}", encoding="utf-8")
        steps = []
        for name in self.changes:
            urn, parent = (text.replace("members", name).replace("beta", stack) for text in (GROUP, MEMBERS))
            steps.append({"op": "update", "urn": urn, "oldState": {"urn": urn, "parent": parent}, "newState": {"urn": urn, "parent": parent}})
        return {"steps": steps}

    def say_output(self, *_: object) -> Any:
        """Return no outputs."""
        return {}

    def update(self, arguments: Sequence[str], stack: str) -> Outcome:
        """End as the test says; a good update runs what the file says."""
        self.updates.append(list(arguments))
        outcome = self.outcomes.pop(0)
        if not outcome.locked_by:
            config = YAML(typ="safe").load(self.folder / f"Pulumi.{stack}.yaml")["config"]
            self.history[stack].insert(0, ("failed" if outcome.status else "succeeded", config, datetime.now(UTC)))
        return outcome

    def exists(self, stack: str) -> bool:
        """Every stack is there."""
        return bool(stack)

    def locked_by(self, stack: str) -> str:
        """Nobody works on it."""
        return stack[:0]

    def queue_folder(self, stack: str) -> Path:
        """Return a folder for the queue."""
        return self.folder / "queue" / stack

    def aws(self, stack: str) -> dict[str, Any]:
        """Never asked: the tests answer for AWS."""
        raise AssertionError(stack)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """Return a place; AWS says that all is well in it."""
    for stack in STACKS:
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
    alpha = tmp_path / "Pulumi.alpha.yaml"
    alpha.write_text(alpha.read_text(encoding="utf-8").replace("1.4.2", "1.5.0"), encoding="utf-8")
    monkeypatch.setattr(aws_health, "taken_back", lambda *_: [])
    monkeypatch.setattr(aws_health, "wait_for_servers", lambda *_: None)
    monkeypatch.setattr(aws_health, "unhealthy", lambda _place, _deployed, services: {service: [] for service in services})
    monkeypatch.setattr(aws_health, "servers_of", lambda *_: Servers())
    return Pretended(tmp_path)


def promoted(place: Pretended, options: Options | None = None) -> int:
    """Promote members to beta and bring beta up."""
    return promotion.promote(place.folder, place, Request("members", "alpha", "beta"), options or Options(), then_up=True)


def kinds(place: Pretended) -> list[str]:
    """Return what the record has of members."""
    return [event.kind for event in record.read(place.folder, "members")]


def test_what_was_gated_is_applied_and_recorded(place: Pretended) -> None:
    """By its plan, never without its own preview."""
    assert promoted(place) == 0
    ((verb, *options),) = place.updates
    assert verb == "up"
    assert "--plan" in options
    assert "--skip-preview" not in options
    assert kinds(place) == ["promote", "arrive"]
    arrived = record.read(place.folder, "members")[-1]
    assert arrived.gates == ["open, 1 changes in members"]
    assert arrived.release == fingerprint(release_in((place.folder / "Pulumi.beta.yaml").read_text(encoding="utf-8"), "members"))


def test_a_closed_gate_changes_nothing_and_the_move_is_on_its_way(place: Pretended, capsys: pytest.CaptureFixture[str]) -> None:
    """A sign-off later, the same command goes on and says whose word opened the gate."""
    place.changes = ["members", "payments"]
    assert promoted(place) == gating.GATE_CLOSED
    assert place.updates == []
    assert kinds(place) == ["promote"]
    urn = GROUP.replace("members", "payments")
    assert promotion.sign_off(place.folder, urn, "outside", "both move their scaling", 2) == 0
    assert promoted(place) == 0
    assert "has not arrived: going on" in capsys.readouterr().out
    assert kinds(place) == ["promote", "arrive"]
    assert any(gate.startswith("overridden: outside of payments-servers-group") for gate in record.read(place.folder, "members")[-1].gates)


def test_a_state_that_changed_meanwhile_is_gated_again(place: Pretended, capsys: pytest.CaptureFixture[str]) -> None:
    """What was gated is not applied to what is there now; and who meddles for ever is told."""
    place.meddled = 5
    assert promoted(place) == 0
    assert capsys.readouterr().out.count("gate of beta:") > 1
    assert len(place.updates) == 1
    place.meddled = 1000
    place.history["beta"].insert(0, ("failed", {}, datetime.now(UTC)))
    with pytest.raises(SandboxError, match="somebody else is at work there"):
        gating.up(place.folder, place, "beta", Options(meant=("everything",)))
    assert len(place.updates) == 1


def test_an_update_that_fails_is_recorded_and_gone_on_with(place: Pretended) -> None:
    """The record says that it did not arrive, then that it did."""
    place.outcomes = [Outcome(255), Outcome(0)]
    assert promoted(place) == gating.REFUSED
    assert kinds(place) == ["promote", "fail"]
    assert "the last update of beta failed" in record.read(place.folder, "members")[-1].reason
    assert promoted(place) == 0
    assert kinds(place) == ["promote", "fail", "arrive"]


def test_going_back_after_a_failed_update_that_changed_nothing_runs_an_update(place: Pretended) -> None:
    """Else the stack's last word would stay that it failed, and nothing could be promoted from it."""
    place.outcomes = [Outcome(255), Outcome(0)]
    assert promoted(place) == gating.REFUSED
    place.changes = []
    request = Request("members", "", "beta", reason="no such machine image")
    assert promotion.rollback(place.folder, place, request, Options()) == 0
    assert len(place.updates) == 2
    assert kinds(place) == ["promote", "fail", "hold", "rollback", "arrive"]
    assert gating.up(place.folder, place, "beta", Options()) == 0
    assert len(place.updates) == 2, "now there is nothing to do"


def test_servers_that_do_not_come_up_are_no_arrival(place: Pretended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 5, and the way out."""
    monkeypatch.setattr(aws_health, "unhealthy", lambda _place, _deployed, services: {service: ["0 of at least 2 servers"] if service == "members" else [] for service in services})
    assert promoted(place) == gating.NOT_UP
    assert kinds(place) == ["promote", "fail"]
    assert "./infra rollback SERVICE beta" in capsys.readouterr().err


def test_another_services_trouble_is_told_and_fails_no_promotion(place: Pretended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each moves at its own pace."""
    monkeypatch.setattr(
        aws_health, "unhealthy", lambda _place, _deployed, services: {service: ["0 of at least 2 servers"] if service == "payments" else [] for service in services}
    )
    assert promoted(place) == 0
    assert kinds(place) == ["promote", "arrive"]
    assert "not of this update, but not well: payments: 0 of at least 2 servers" in capsys.readouterr().err


def test_who_stops_waiting_for_servers_loses_no_sign_off(place: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record says that nobody saw it arrive, and what the gate said."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(aws_health, "wait_for_servers", stopped)
    assert promoted(place) == gating.NOT_UP
    last = record.read(place.folder, "members")[-1]
    assert (last.kind, last.gates) == ("fail", ["open, 1 changes in members"])
    assert "nobody saw whether its servers came up" in last.reason


def test_another_who_took_the_lock_in_between_is_named(place: Pretended, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 4; nothing is recorded as failed."""
    place.outcomes = [Outcome(255, "kim, process 7")]
    assert promoted(place) == gating.LOCKED
    assert "kim, process 7" in capsys.readouterr().err
    assert kinds(place) == ["promote"]


def test_another_who_took_the_lock_in_between_is_waited_for_where_that_is_asked(place: Pretended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As on another machine, whose lock is only known by trying: it is gated and tried again."""
    monkeypatch.setattr(queueing, "LOOK_SECONDS", 0.01)
    place.outcomes = [Outcome(255, "kim, process 7"), Outcome(255, "kim, process 7"), Outcome(0)]
    assert promoted(place, Options(wait_minutes=1)) == 0
    assert kinds(place) == ["promote", "arrive"]
    assert len(place.updates) == 3
    assert "kim, process 7. Nothing was done. Waiting, for 1 min at most" in capsys.readouterr().err


def test_a_failing_up_of_another_service_says_nothing_of_one_that_runs(place: Pretended) -> None:
    """Its arrival was not recorded, as somebody stopped waiting; it runs all the same."""
    assert promoted(place) == 0
    for path in (place.folder / record.FOLDER / "members").glob("*arrive*"):
        path.unlink()
    place.changes, place.outcomes = ["payments"], [Outcome(255)]
    assert gating.up(place.folder, place, "beta", Options(meant=("payments",))) == gating.REFUSED
    assert kinds(place) == ["promote"]


def test_a_rollback_that_is_under_way_is_gone_on_with_and_not_repeated(place: Pretended) -> None:
    """The release before the one before stays where it is, and is held by nobody."""
    assert promoted(place) == 0
    request = Request("members", "", "beta", reason="slow")
    place.outcomes = [Outcome(255), Outcome(0)]
    assert promotion.rollback(place.folder, place, request, Options()) == gating.REFUSED
    assert promotion.rollback(place.folder, None, request, Options()) == 1
    assert promotion.rollback(place.folder, place, request, Options()) == 0
    assert kinds(place) == ["promote", "arrive", "hold", "rollback", "fail", "arrive"]


def test_what_is_no_option_of_up_is_wrong_usage(place: Pretended) -> None:
    """Nothing is looked at."""
    assert gating.up(place.folder, place, "beta", Options(passed_on=("--skip-preview",))) == gating.USAGE
    assert place.exports == 0
