"""Promotion's decisions: pure functions on files, states and previews."""

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cli.promotion import new_problems
from release import blocks, record, status
from release.deployed import Deployed, Update, fingerprint
from release.promote import AlreadyBackError, Moved, RefusedError, Request, Servers, Validate, arrivals, promote, roll_back, services_in, set_hold
from release.together import not_seen_together
from tests.unit.conftest import ROOT, STACKS

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
SERVICES = ("core", "members", "payments", "email", "socket", "events")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of all environments; alpha has a newer release of each service."""
    for stack in STACKS:
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
        if stack == "alpha":
            text = text.replace("        version: ", "        # built by CI\n        version: 9").replace(
                'database_engine: "16.9"', "database_engine: '16.10'  # tried since Monday"
            )
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def running(folder: Path, stack: str, since: datetime = LONG_AGO, **changes: Any) -> Deployed:
    """Return a stack that runs what its file says, since a time."""
    config = YAML(typ="safe").load(folder / f"Pulumi.{stack}.yaml")["config"]
    resources = [{"urn": f"urn:pulumi:{stack}::100xglobal::hundredx:components:ServiceEnvironment::{name}"} for name in SERVICES]
    updates = (Update("update", "succeeded", NOW - timedelta(minutes=1), config), Update("update", "succeeded", since, config))
    return Deployed(**{"stack": stack, "updates": updates, "resources": tuple(resources), "pending": (), **changes})


def wanted(folder: Path, stack: str, service: str) -> Mapping[str, Any]:
    """Return a service's release in a file."""
    release: Mapping[str, Any] = services_in((folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))[service]["release"]
    return release


def moved(folder: Path, request: Request, source: Deployed, at: datetime, servers: Servers | None = None, validate: Validate = lambda _file, _text: ()) -> Moved:
    """Promote."""
    return promote(folder, request, source, servers=servers or Servers(), at=at, validate=validate)


@pytest.mark.parametrize("service", SERVICES[:-1])  # events is switched off
def test_a_promotion_rewrites_one_block_and_keeps_every_other_byte(folder: Path, service: str) -> None:
    """The block arrives as it was written, comments and quoting included."""
    done = moved(folder, Request(service, "alpha", "beta"), running(folder, "alpha"), NOW)
    before, after, event = done.before, done.after, done.event
    assert (folder / "Pulumi.beta.yaml").read_text(encoding="utf-8") == after
    assert wanted(folder, "beta", service) == wanted(folder, "alpha", service)
    lines_before, place = blocks.find(before, service, "x")
    lines_after, place_after = blocks.find(after, service, "x")
    assert lines_before[: place.start] == lines_after[: place_after.start]
    assert lines_before[place.end :] == lines_after[place_after.end :]
    assert "# built by CI" in "".join(lines_after[place_after.start : place_after.end])
    assert event.environment == "beta"
    assert len(record.read(folder, service)) == 1


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("not deployed", {}, {"updates": ()}, "does not run in alpha"),
    ("an environment skipped", {"target": "prod"}, {}, "releases go alpha -> beta -> prod"),
    ("backwards", {"source": "beta", "target": "alpha"}, {}, "is not the environment before"),
    ("not long enough", {}, {"since": NOW - timedelta(minutes=20)}, "must for 1 h: wait 40 min"),
    ("a hotfix without a reason", {"hotfix": True}, {}, "needs a --reason"),
    ("an operation pending", {}, {"pending": ("urn:pulumi:alpha::p::t::x",)}, "an operation on x never ended"),
]


@pytest.mark.parametrize(("request_changes", "state_changes", "told"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_promotion_is_refused_with_reason_and_way_out(folder: Path, request_changes: dict[str, Any], state_changes: dict[str, Any], told: str) -> None:
    """And nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    request = Request(**{"service": "members", "source": "alpha", "target": "beta", **request_changes})
    with pytest.raises(RefusedError, match=told):
        moved(folder, request, running(folder, request.source, **state_changes), NOW)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_the_file_says_and_nobody_runs_is_refused(folder: Path) -> None:
    """The deployed state counts."""
    state = running(folder, "alpha")
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("version: 91.4.2", "version: 92.0.0"), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"alpha runs members 91\.4\.2, and Pulumi\.alpha\.yaml says 92\.0\.0"):
        moved(folder, Request("members", "alpha", "beta"), state, NOW)


def test_a_failed_update_and_a_half_made_resource_are_not_healthy(folder: Path) -> None:
    """As far as Pulumi knows."""
    state = running(folder, "alpha")
    failed = (Update("update", "failed", NOW, state.updates[0].config), *state.updates)
    with pytest.raises(RefusedError, match="the last update of alpha failed"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha", updates=failed), NOW)
    service = "urn:pulumi:alpha::100xglobal::hundredx:components:ServiceEnvironment::members"
    half = {"urn": "urn:pulumi:alpha::100xglobal::hundredx:components:ServiceEnvironment$aws:rds/instance:Instance::members-db", "parent": service, "initErrors": ["timeout"]}
    with pytest.raises(RefusedError, match="was made only half"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha", resources=(*state.resources, half)), NOW)
    moved(folder, Request("core", "alpha", "beta"), running(folder, "alpha", resources=(*state.resources, half)), NOW)


def test_a_hotfix_skips_the_soak_and_an_environment_and_stands_in_the_record(folder: Path) -> None:
    """With its reason."""
    event = moved(folder, Request("members", "alpha", "prod", hotfix=True, reason="sign-in is down"), running(folder, "alpha", since=NOW), NOW).event
    assert (event.kind, event.reason) == ("hotfix", "sign-in is down")
    assert wanted(folder, "prod", "members") == wanted(folder, "alpha", "members")


def test_a_held_release_moves_nowhere_until_its_hold_is_lifted(folder: Path) -> None:
    """Also as a hotfix; both the hold and its end need a reason."""
    with pytest.raises(RefusedError, match="needs a --reason"):
        set_hold(folder, "members", "91.4.2", " ", NOW, lift=False)
    set_hold(folder, "members", "91.4.2", "loses sessions", NOW, lift=False)
    for hotfix in (False, True):
        with pytest.raises(RefusedError, match="loses sessions"):
            moved(folder, Request("members", "alpha", "beta", hotfix=hotfix, reason="x"), running(folder, "alpha"), NOW)
    set_hold(folder, "members", "91.4.2", "was the cache", NOW + timedelta(minutes=1), lift=True)
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=2))
    with pytest.raises(RefusedError, match="no hold stands"):
        set_hold(folder, "members", "91.4.2", "again", NOW, lift=True)


def test_a_rollback_restores_the_file_to_the_byte_and_holds_the_bad_release(folder: Path) -> None:
    """Everywhere."""
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("'16.10'", '"16.9"'), encoding="utf-8")
    original = (folder / "Pulumi.beta.yaml").read_bytes()
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    assert (folder / "Pulumi.beta.yaml").read_bytes() != original
    with pytest.raises(RefusedError, match="needs a --reason"):
        roll_back(folder, "members", "beta", "", NOW)
    roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=1))
    assert (folder / "Pulumi.beta.yaml").read_bytes() == original
    with pytest.raises(RefusedError, match="held"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=2))
    with pytest.raises(AlreadyBackError, match=r"has members 1\.4\.2 again in its file since"):
        roll_back(folder, "members", "beta", "again", NOW + timedelta(minutes=3))
    assert (folder / "Pulumi.beta.yaml").read_bytes() == original
    with pytest.raises(RefusedError, match="no promotion of core"):
        roll_back(folder, "core", "beta", "slow", NOW + timedelta(minutes=3))


def test_two_promotions_write_different_files(folder: Path) -> None:
    """Their branches merge without a conflict."""
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    moved(folder, Request("payments", "alpha", "beta"), running(folder, "alpha"), NOW)
    files = sorted(path.relative_to(folder).as_posix() for path in (folder / "releases").rglob("*.yaml"))
    assert [file.split("/")[1] for file in files] == ["members", "payments"]


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(SERVICES), service=st.sampled_from(SERVICES), ending=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_a_block_is_replaced_whatever_the_order(order: list[str], service: str, ending: str, *, last: bool) -> None:
    """Services in any order, line ends of any kind, with or without a last one."""
    body = "".join(f"    {name}: # {name}\n      release: # r\n        version: 1.0.0\n\n        image: a\n      # size\n      sizing: {{x: 1}}\n" for name in order)
    text = ("config:\n  a: b\n  100xglobal:services:\n" + body + "  z: y\n").replace("\n", ending)
    text = text if last else text.rstrip("\r\n")
    out = blocks.with_release(text, service, "  release:\n    version: 2.0.0\n    image: b # new\n", "f")
    values = YAML(typ="safe").load(out)["config"]
    assert {name: value["release"]["version"] for name, value in values["100xglobal:services"].items()} == {name: "2.0.0" if name == service else "1.0.0" for name in order}
    assert values["z"] == "y"
    assert out.count("# size") == len(order)
    assert ("\r\n" in out) == (ending == "\r\n")


def test_the_files_of_this_repository_can_be_promoted(tmp_path: Path) -> None:
    """Every service of every environment's file has its release in a block that can be moved."""
    for stack in STACKS:
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
        for service in SERVICES:
            assert blocks.release_text((tmp_path / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"), service, "f").startswith("      release:")


def test_what_aws_says_against_the_servers_refuses_too(folder: Path) -> None:
    """Pulumi's update ends well when servers have only begun to be replaced."""
    with pytest.raises(RefusedError, match="AWS took the last deployment back: members cannot be called healthy there"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW, servers=Servers(["AWS took the last deployment back"]))


def test_outputs_that_say_another_release_than_the_history_refuse(folder: Path) -> None:
    """Somebody exported and imported a state, or ran another program."""
    state = running(folder, "alpha")
    root = {"urn": "urn:pulumi:alpha::100xglobal::pulumi:pulumi:Stack::100xglobal-alpha", "outputs": {"services": {"members": {"release": "1.0.0", "image": "x"}}}}
    with pytest.raises(RefusedError, match=r"the outputs of alpha say 1\.0\.0"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha", resources=(root, *state.resources)), NOW)


def test_a_database_never_goes_back_and_a_major_version_needs_a_word(folder: Path) -> None:
    """Both would fail at AWS, in the middle of an update."""
    for stack, old, new in (("beta", '"16.9"', '"16.11"'), ("alpha", "'16.10'", "'16.10'")):
        path = folder / f"Pulumi.{stack}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"has PostgreSQL 16\.11, and RDS never goes back"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("'16.10'", "'17.2'"), encoding="utf-8")
    with pytest.raises(RefusedError, match=r"from PostgreSQL 16\.11 to 17\.2, with downtime .*allow_major_upgrade: true in Pulumi\.beta\.yaml"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    path = folder / "Pulumi.beta.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("class: db.", "allow_major_upgrade: true, class: db."), encoding="utf-8")
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)


def test_a_release_that_does_not_fit_the_targets_sizes_is_refused_with_the_checks_own_words(folder: Path) -> None:
    """A release for Intel's processors, and beta has ARM's."""
    path = folder / "Pulumi.alpha.yaml"
    head, members = path.read_text(encoding="utf-8").split("    members:\n", 1)
    members = members.replace("        # built by CI\n", "        architecture: x86_64\n", 1).replace("t4g.small", "t3.small", 1)
    path.write_text(f"{head}    members:\n{members}", encoding="utf-8")
    before = (folder / "Pulumi.beta.yaml").read_bytes()
    with pytest.raises(RefusedError, match=r"Pulumi\.beta\.yaml would be wrong: .*t4g"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW, validate=new_problems(folder))
    assert (folder / "Pulumi.beta.yaml").read_bytes() == before
    moved(folder, Request("core", "alpha", "beta"), running(folder, "alpha"), NOW, validate=new_problems(folder))


def test_a_rollback_keeps_a_newer_database(folder: Path) -> None:
    """RDS never goes back; everything else does."""
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    back, hold = roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=1))
    assert wanted(folder, "beta", "members")["version"] == "1.4.2"
    assert wanted(folder, "beta", "members")["database_engine"] == "16.10"
    assert any("stays 16.10" in note for note in back.notes)
    assert hold
    assert hold.version == "91.4.2"


def test_versions_not_seen_together_are_said_before_prod(folder: Path) -> None:
    """What prod will run beside each other is what beta ran so; else the closest that beta ran is told."""
    beta = running(folder, "beta")
    newer = YAML(typ="safe").load(folder / "Pulumi.beta.yaml")["config"]
    newer["100xglobal:services"]["payments"]["release"]["version"] = "2.1.0"
    text = (folder / "Pulumi.beta.yaml").read_text(encoding="utf-8").replace("version: 1.4.2", "version: 1.5.0")
    (folder / "Pulumi.beta.yaml").write_text(text, encoding="utf-8")
    newer["100xglobal:services"]["members"]["release"]["version"] = "1.5.0"
    state = running(folder, "beta", updates=(Update("update", "succeeded", LONG_AGO, newer), *beta.updates))
    event = moved(folder, Request("members", "beta", "prod"), state, NOW)
    assert event.notes == ("not seen together in beta: payments 2.0.1 (beta had 2.1.0)",)
    assert event.notes[0] in event.event.checks
    releases = {"a": {"version": "1"}, "b": {"version": "2", "x": "y"}}
    ran = {"100xglobal:services": {"a": {"release": {"version": "1"}}, "b": {"release": {"version": "2", "x": "z"}}}}
    assert not_seen_together(releases, "beta", [Update("update", "succeeded", NOW, ran)]) == ["b 2 (beta had 2, of other settings)"]
    assert not_seen_together(releases, "beta", [Update("update", "failed", NOW, {})]) == ["nothing has run in beta yet"]
    assert not_seen_together({"a": {"version": "1"}}, "beta", [Update("update", "succeeded", NOW, ran)]) == []


def test_the_record_tells_what_arrived_and_what_did_not(folder: Path) -> None:
    """A move is on its way until the stack runs it and its servers came up."""
    move = moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW).event
    moved(folder, Request("core", "alpha", "beta"), running(folder, "alpha"), NOW)
    later = NOW + timedelta(minutes=5)
    before = running(folder, "beta", updates=(Update("update", "failed", NOW, {}),))
    assert "has not arrived in beta (the last update of beta failed)" in status.truth(move, before, wanted(folder, "beta", "members"))
    assert "is not what the file of beta says" in status.truth(move, before, {"version": "1.4.2"})
    there = running(folder, "beta")
    (failed,) = arrivals(folder, "beta", there, troubles={"members": ["0 of at least 1 servers"]}, gates=["open"], at=later)
    assert (failed.kind, failed.reason) == ("fail", "0 of at least 1 servers")
    assert record.on_its_way(record.read(folder), "members", "beta", "sandbox") == move
    assert "by the word of the stack" in status.truth(move, there, wanted(folder, "beta", "members"))
    (arrived,) = arrivals(folder, "beta", there, troubles={"members": []}, gates=["open, 2 changes in members"], at=later + timedelta(minutes=1))
    assert (arrived.kind, arrived.gates) == ("arrive", ["open, 2 changes in members"])
    assert record.on_its_way(record.read(folder), "members", "beta", "sandbox") is None
    assert record.on_its_way(record.read(folder), "core", "beta", "sandbox") is not None
    assert arrivals(folder, "beta", there, troubles={"members": []}, gates=[], at=later + timedelta(minutes=2)) == []
    lines = [status.story(event) for event in record.read(folder, "members")]
    assert [line.split()[2] for line in lines] == ["promote", "fail", "arrive"]
    assert "0 of at least 1 servers" in lines[1]


def test_a_file_that_cannot_be_written_leaves_no_event_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk between the two."""
    before = {path: path.read_bytes() for path in folder.glob("*.yaml")}
    real = record.write_whole

    def full(path: Path, content: bytes) -> None:
        if path.name == "Pulumi.beta.yaml":
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(record, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    assert record.read(folder) == []
    assert {path: path.read_bytes() for path in folder.glob("*.yaml")} == before


def test_two_promotions_on_two_branches_merge(folder: Path) -> None:
    """By git, without a conflict, whatever services they are; both are there afterwards."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=kim", "-c", "user.email=kim@example.com", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "start")
    services = SERVICES[:-1]
    for service in services:
        git("checkout", "-q", "-b", service, "main")
        moved(folder, Request(service, "alpha", "beta"), running(folder, "alpha"), NOW)
        git("add", "-A")
        git("commit", "-qm", service)
    git("checkout", "-q", "main")
    for service in services:
        git("merge", "-q", "--no-edit", service)
    for service in services:
        assert wanted(folder, "beta", service) == wanted(folder, "alpha", service)
        (event,) = record.read(folder, service)
        assert event.release == fingerprint(wanted(folder, "beta", service))


def test_since_is_when_the_release_came_whatever_failed_after(folder: Path) -> None:
    """An update that failed and wanted the same breaks nothing; one that wanted another does."""
    config = running(folder, "alpha").config()
    other = YAML(typ="safe").load(folder / "Pulumi.beta.yaml")["config"]
    good, bad = Update("update", "succeeded", LONG_AGO, config), Update("update", "failed", NOW, config)
    assert running(folder, "alpha", updates=(bad, good)).since("members") == LONG_AGO
    newest = Update("update", "succeeded", NOW, config)
    assert running(folder, "alpha", updates=(newest, Update("update", "failed", NOW, other), good)).since("members") == NOW


def test_the_table_says_soaking_held_behind_and_drifted(folder: Path) -> None:
    """And what is in a file and was not brought up."""
    events = set_hold(folder, "payments", "2.0.1", "double charge", NOW, lift=False)
    alpha = running(folder, "alpha", since=NOW - timedelta(minutes=20))
    views = {
        "alpha": status.View(alpha, {name: wanted(folder, "alpha", name) for name in SERVICES}, {"members": ["members-servers-group"]}),
        "beta": status.View(
            running(folder, "beta"), {**{name: wanted(folder, "beta", name) for name in SERVICES}, "email": {"version": "9.9.9"}}, {}, {"core": ["0 of 1 servers"]}
        ),
    }
    members = status.cell("members", "alpha", views, events, NOW)
    assert members[0] == "91.4.2"
    assert "soaking, 40 min left" in members
    assert "drifted: members-servers-group" in members
    beta = status.cell("members", "beta", views, events, NOW)
    assert beta[0] == "1.4.2"
    assert "behind alpha: 91.4.2 there" in beta
    assert "HELD: double charge" in status.cell("payments", "beta", views, events, NOW)
    assert "9.9.9 in its file, not brought up" in status.cell("email", "beta", views, events, NOW)
    assert "! 0 of 1 servers" in status.cell("core", "beta", views, events, NOW)
    assert "may go to beta" in status.cell("members", "alpha", views, events, NOW + timedelta(hours=1))
    assert ("version", "91.4.2", "1.4.2") in status.differences("members", "alpha", "beta", views)
    assert status.differences("members", "alpha", "alpha", views) == []


def version(folder: Path, stack: str, number: str) -> None:
    """Give members another version in a file, as CI does in alpha's."""
    path = folder / f"Pulumi.{stack}.yaml"
    head, members = path.read_text(encoding="utf-8").split("    members:\n", 1)
    old = str(wanted(folder, stack, "members")["version"])
    path.write_text(f"{head}    members:\n{members.replace(f'version: {old}', f'version: {number}', 1)}", encoding="utf-8")


def test_a_rollback_passes_over_what_is_held(folder: Path) -> None:
    """To the newest release before that nobody called bad; each is said."""
    for minute, number in enumerate(("2.0.0", "3.0.0")):
        version(folder, "alpha", number)
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=minute))
    set_hold(folder, "members", "2.0.0", "loses sessions", NOW + timedelta(minutes=2), lift=False)
    back, hold = roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=3))
    assert hold
    assert (back.event.version, hold.version) == ("1.4.2", "3.0.0")
    assert any("2.0.0 is passed over, as it is held: loses sessions" in note for note in back.notes)


def test_the_soak_begins_when_the_servers_came_up(folder: Path) -> None:
    """Not when Pulumi's update ended, which was before."""
    with pytest.raises(RefusedError, match="has run in alpha for 5 min, and must for 1 h"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW, servers=Servers((), NOW - timedelta(minutes=5)))


def test_a_hotfix_over_an_environment_says_what_soak_it_skipped(folder: Path) -> None:
    """That of the whole way."""
    event = moved(folder, Request("members", "alpha", "prod", hotfix=True, reason="down"), running(folder, "alpha", since=NOW - timedelta(minutes=3)), NOW).event
    assert "soak skipped: has run for 3 min of 1 d 1 h" in event.checks


def test_the_sandbox_says_nothing_of_real_aws(folder: Path) -> None:
    """A move that was rehearsed has not been asked for there."""
    event = moved(folder, Request("members", "alpha", "beta", place="aws"), running(folder, "alpha"), NOW).event
    assert event.place == "aws"
    events = record.read(folder)
    assert record.on_its_way(events, "members", "beta", "aws") == event
    assert record.on_its_way(events, "members", "beta", "sandbox") is None
    assert record.last_move(events, "members", "beta", "sandbox") == event, "what was asked for there may run here"
    assert arrivals(folder, "beta", running(folder, "beta"), troubles={"members": []}, gates=[], at=NOW + timedelta(minutes=1), place="sandbox") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [("config: [", "is not YAML"), ("<<<<<<< HEAD\nconfig: {}\n", "is not YAML|no map"), ("just words", "no map `config`"), ("config:\n  a: 1\n  a: 2\n", "is not YAML")],
)
def test_a_file_that_is_none_is_said_and_stops_no_hold(folder: Path, text: str, told: str) -> None:
    """No traceback; somebody else's draft must not stop a hold."""
    (folder / "Pulumi.draft.yaml").write_text(text, encoding="utf-8")
    assert [event.kind for event in set_hold(folder, "members", "91.4.2", "loses sessions", NOW, lift=False)] == ["hold"]
    (folder / "Pulumi.alpha.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match=told):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "beta"), NOW)


def test_a_hold_of_a_version_that_was_built_twice_can_be_lifted(folder: Path) -> None:
    """What stands is lifted."""
    set_hold(folder, "members", "91.4.2", "loses sessions", NOW, lift=False)
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("members@sha256:0", "members@sha256:1"), encoding="utf-8")
    assert len(set_hold(folder, "members", "91.4.2", "was not", NOW + timedelta(minutes=1), lift=False)) == 2
    assert [event.kind for event in set_hold(folder, "members", "91.4.2", "was the cache", NOW + timedelta(minutes=2), lift=True)] == ["release-hold"] * 2
    assert not any(record.held(record.read(folder), "members", "91.4.2", event.image) for event in record.read(folder))


def test_a_release_for_a_service_that_is_switched_off_is_said(folder: Path) -> None:
    """It moves, and comes up when somebody switches it on."""
    state = running(folder, "alpha")
    config = YAML(typ="safe").load(folder / "Pulumi.alpha.yaml")["config"]
    config["100xglobal:services"]["events"]["enabled"] = True
    state = running(folder, "alpha", updates=(Update("update", "succeeded", LONG_AGO, config),))
    assert "events is switched off in Pulumi.beta.yaml" in moved(folder, Request("events", "alpha", "beta"), state, NOW).notes[0]


def test_a_rehearsal_is_followed_by_the_promotion_on_aws(folder: Path) -> None:
    """The file has it already; what is looked at is AWS, and stands in its record, with what the file had before."""
    first = moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    with pytest.raises(RefusedError, match="already: nothing to move"):
        moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=1))
    second = moved(folder, Request("members", "alpha", "beta", place="aws"), running(folder, "alpha"), NOW + timedelta(minutes=1))
    assert second.before == second.after == first.after
    assert (second.event.place, second.event.block) == ("aws", first.event.block)


def test_a_rollback_from_another_place_is_not_one_further_back(folder: Path) -> None:
    """Who forgot `--on aws` and says it the second time takes no good release away."""
    for minute, number in enumerate(("2.0.0", "3.0.0")):
        version(folder, "alpha", number)
        moved(folder, Request("members", "alpha", "beta", place="aws"), running(folder, "alpha"), NOW + timedelta(minutes=minute))
    roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=3))
    again, hold = roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=4), place="aws")
    assert hold is None
    assert wanted(folder, "beta", "members")["version"] == "2.0.0"
    assert (again.event.kind, again.event.place, again.event.version) == ("rollback", "aws", "2.0.0")


def test_releases_that_lead_back_to_the_bad_one_are_refused(folder: Path) -> None:
    """1, then 2, which is held, then 1 again: nothing good was before it."""
    version(folder, "alpha", "2.0.0")
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    set_hold(folder, "members", "2.0.0", "bad", NOW + timedelta(minutes=1), lift=False)
    path = folder / "Pulumi.alpha.yaml"
    first = record.read(folder, "members")[0].block
    path.write_text(blocks.with_release(path.read_text(encoding="utf-8"), "members", first, "f"), encoding="utf-8")
    beta = folder / "Pulumi.beta.yaml"
    beta.write_text(beta.read_text(encoding="utf-8").replace("'16.10'", '"16.9"'), encoding="utf-8")
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=2))
    before = beta.read_bytes()
    with pytest.raises(RefusedError, match=r"2\.0\.0 is passed over, as it is held: bad|the record has no promotion"):
        roll_back(folder, "members", "beta", "worse", NOW + timedelta(minutes=3))
    assert beta.read_bytes() == before


def test_a_second_rollback_after_a_kept_database_goes_one_further_back(folder: Path) -> None:
    """The release that it went back to is known, though its database is newer now."""
    version(folder, "alpha", "2.0.0")
    path = folder / "Pulumi.alpha.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("'16.10'", '"16.9"'), encoding="utf-8")
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW)
    version(folder, "alpha", "3.0.0")
    path.write_text(path.read_text(encoding="utf-8").replace('"16.9"', '"16.10"'), encoding="utf-8")
    moved(folder, Request("members", "alpha", "beta"), running(folder, "alpha"), NOW + timedelta(minutes=1))
    first, _ = roll_back(folder, "members", "beta", "slow", NOW + timedelta(minutes=2))
    assert (first.event.version, wanted(folder, "beta", "members")["database_engine"]) == ("2.0.0", "16.10")
    arrivals(folder, "beta", running(folder, "beta"), troubles={"members": []}, gates=[], at=NOW + timedelta(minutes=3))
    second, _ = roll_back(folder, "members", "beta", "slow too", NOW + timedelta(minutes=4))
    assert (second.event.version, wanted(folder, "beta", "members")["database_engine"]) == ("1.4.2", "16.10")


def test_what_was_before_a_destroy_says_nothing(folder: Path) -> None:
    """The soak begins anew, and a stack that is going up again is new."""
    config = running(folder, "alpha").config()
    good, gone = Update("update", "succeeded", LONG_AGO, config), Update("destroy", "succeeded", NOW - timedelta(hours=2), config)
    newest = Update("update", "succeeded", NOW - timedelta(minutes=5), config)
    assert running(folder, "alpha", updates=(newest, gone, good)).since("members") == NOW - timedelta(minutes=5)
    assert running(folder, "alpha", updates=(Update("update", "failed", NOW, config), gone, good)).latest() is None


def test_a_release_with_an_anchor_or_in_another_encoding_is_refused_in_words(folder: Path) -> None:
    """No traceback."""
    path = folder / "Pulumi.alpha.yaml"
    text = path.read_text(encoding="utf-8")
    state = running(folder, "beta")
    path.write_text(text.replace("machine_image: ami", "machine_image: &ami ami", 1).replace("machine_image: ami-0123456789abcdef0", "machine_image: *ami"), encoding="utf-8")
    with pytest.raises(RefusedError, match="cannot be read by itself"):
        moved(folder, Request("members", "alpha", "beta"), state, NOW)
    path.write_bytes(text.encode() + b"# \xe9\n")
    with pytest.raises(RefusedError, match="is not UTF-8 text"):
        moved(folder, Request("members", "alpha", "beta"), state, NOW)
