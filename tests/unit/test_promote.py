"""Promoting a release: when it is refused, what it changes in the target's file, and what the journal keeps of it."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.promote import added_problems
from release import journal, promote, release_block
from release.errors import RefusedError, Rule
from release.health import Check, Issue, ServerReport
from release.holds import hold, lift_hold
from release.promote import Request
from release.stack_state import Update, fingerprint
from settings.project_files import SERVICES_KEY
from tests.unit.release_builders import (
    ENABLED_SERVICES,
    LONG_AGO,
    NOW,
    config_in_file,
    edit_file,
    files_below,
    promote_members,
    promote_release,
    read_file,
    requested_release,
    service_urn,
    set_version,
    state_of_file,
)

MEMBERS_TO_BETA = Request("members", "alpha", "beta")
MEMBERS_AS_HOTFIX = Request("members", "alpha", "prod", hotfix=True, reason="sign-in is down")


def refused_rules(folder: Path, request: Request = MEMBERS_TO_BETA, *args: Any, **options: Any) -> set[Rule]:
    """Return why a promotion is refused; it must be, and it must not change a file."""
    before = files_below(folder)
    with pytest.raises(RefusedError) as error:
        promote_release(folder, request, *args, **options)
    assert files_below(folder) == before
    return error.value.rules


@pytest.mark.parametrize("service", ENABLED_SERVICES)
def test_a_promotion_changes_one_block_and_no_other_byte(release_folder: Path, service: str) -> None:
    """The block is copied as it is written, including comments and quotes."""
    move = promote_release(release_folder, Request(service, "alpha", "beta"))
    assert read_file(release_folder, "beta") == move.after
    assert requested_release(release_folder, "beta", service) == requested_release(release_folder, "alpha", service)
    lines_before, block_before = release_block.find(move.before, service, "x")
    lines_after, block_after = release_block.find(move.after, service, "x")
    assert lines_before[: block_before.start] == lines_after[: block_after.start]
    assert lines_before[block_before.end :] == lines_after[block_after.end :]
    assert "# built by CI" in "".join(lines_after[block_after.start : block_after.end])
    assert move.event.environment == "beta"
    assert journal.read(release_folder, service) == [move.event]


@pytest.mark.parametrize(
    ("request_fields", "state_fields", "rules"),
    [
        ({}, {"updates": ()}, {Rule.NOT_DEPLOYED}),
        ({"target": "prod"}, {}, {Rule.NOT_ON_PATH}),
        ({"source": "beta", "target": "alpha"}, {}, {Rule.NOT_ON_PATH, Rule.DATABASE_DOWNGRADE}),
        ({}, {"since": NOW - timedelta(minutes=20)}, {Rule.SOAKING}),
        ({"hotfix": True}, {}, {Rule.REASON_REQUIRED}),
        ({}, {"pending": ("urn:pulumi:alpha::p::t::x",)}, {Rule.UNHEALTHY}),
    ],
    ids=["not deployed", "skips an environment", "backwards", "too early", "a hotfix without a reason", "pending"],
)
def test_a_promotion_is_refused(
    release_folder: Path, request_fields: dict[str, Any], state_fields: dict[str, Any], rules: set[Rule]
) -> None:
    """The error has every reason, and nothing is written."""
    request = Request(**{"service": "members", "source": "alpha", "target": "beta", **request_fields})
    state = state_of_file(release_folder, request.source, **state_fields)
    assert refused_rules(release_folder, request, state) == rules


def test_a_file_that_differs_from_what_is_deployed_is_refused(release_folder: Path) -> None:
    """What is promoted has to be what was tested."""
    state = state_of_file(release_folder, "alpha")
    edit_file(release_folder, "alpha", "version: 1.5.0", "version: 92.0.0")
    assert refused_rules(release_folder, MEMBERS_TO_BETA, state) == {Rule.FILE_DIFFERS_FROM_DEPLOYED}


# --- health


def test_a_failed_update_refuses_a_promotion(release_folder: Path) -> None:
    """The last change of the source must have succeeded."""
    state = state_of_file(release_folder, "alpha")
    updates = (Update("update", "failed", NOW, state.config()), *state.updates)
    failed = state_of_file(release_folder, "alpha", updates=updates)
    assert refused_rules(release_folder, MEMBERS_TO_BETA, failed) == {Rule.UNHEALTHY}


def test_a_partially_created_resource_refuses_the_promotion_of_its_service_only(release_folder: Path) -> None:
    """Other services are healthy."""
    state = state_of_file(release_folder, "alpha")
    members = service_urn("members", "alpha")
    database = members.replace("::members", "$aws:rds/instance:Instance::members-db")
    resource = {"urn": database, "parent": members, "initErrors": ["timeout"]}
    partial = state_of_file(release_folder, "alpha", resources=(*state.resources, resource))
    assert refused_rules(release_folder, MEMBERS_TO_BETA, partial) == {Rule.UNHEALTHY}
    promote_release(release_folder, Request("core", "alpha", "beta"), partial)


def test_unhealthy_servers_refuse_a_promotion(release_folder: Path) -> None:
    """Pulumi's update succeeds as soon as AWS starts to replace servers, so AWS is asked as well."""
    servers = ServerReport([Issue(Check.ROLLED_BACK, "the last deployment was rolled back")])
    assert refused_rules(release_folder, servers=servers) == {Rule.UNHEALTHY}


def test_outputs_that_contradict_the_history_refuse_a_promotion(release_folder: Path) -> None:
    """Someone imported a state, or ran another program."""
    state = state_of_file(release_folder, "alpha")
    root = {
        "urn": "urn:pulumi:alpha::100xglobal::pulumi:pulumi:Stack::100xglobal-alpha",
        "outputs": {"services": {"members": {"release": "1.0.0", "image": "x"}}},
    }
    contradicted = state_of_file(release_folder, "alpha", resources=(root, *state.resources))
    assert refused_rules(release_folder, MEMBERS_TO_BETA, contradicted) == {Rule.UNHEALTHY}


# --- soak time and hotfixes


def test_the_soak_time_starts_when_the_servers_were_replaced(release_folder: Path) -> None:
    """Pulumi's update ended before that."""
    report = ServerReport((), NOW - timedelta(minutes=59))
    assert refused_rules(release_folder, servers=report) == {Rule.SOAKING}
    promote_release(release_folder, MEMBERS_TO_BETA, servers=ServerReport((), NOW - timedelta(minutes=60)))


def test_a_hotfix_skips_the_soak_time_and_an_environment(release_folder: Path) -> None:
    """The journal has its reason."""
    event = promote_release(release_folder, MEMBERS_AS_HOTFIX, state_of_file(release_folder, "alpha", since=NOW)).event
    assert (event.kind, event.reason) == ("hotfix", "sign-in is down")
    assert (event.source, event.environment) == ("alpha", "prod")
    assert requested_release(release_folder, "prod", "members") == requested_release(release_folder, "alpha", "members")


def test_the_journal_keeps_what_was_checked(release_folder: Path, snapshot: SnapshotAssertion) -> None:
    """For a hotfix it says which soak time was skipped; if an environment is skipped, that of the whole way counts."""
    state = state_of_file(release_folder, "alpha", since=NOW - timedelta(minutes=3))
    assert {
        "promotion": promote_members(release_folder).event.checks,
        "hotfix": promote_release(release_folder, MEMBERS_AS_HOTFIX, state).event.checks,
    } == snapshot


# --- holds


def test_a_release_on_hold_cannot_be_promoted_until_the_hold_is_lifted(release_folder: Path) -> None:
    """Not even as a hotfix."""
    hold(release_folder, "members", "1.5.0", "loses sessions", NOW)
    for hotfix in (False, True):
        request = Request("members", "alpha", "beta", hotfix=hotfix, reason="x")
        assert refused_rules(release_folder, request) == {Rule.HELD}
    lift_hold(release_folder, "members", "1.5.0", "it was the cache", NOW + timedelta(minutes=1))
    promote_members(release_folder, minutes=2)


# --- the target


def test_a_database_cannot_be_downgraded(release_folder: Path) -> None:
    """RDS would refuse it in the middle of an update."""
    edit_file(release_folder, "beta", '"16.9"', '"16.11"')
    assert refused_rules(release_folder) == {Rule.DATABASE_DOWNGRADE}


def test_a_release_that_restarts_a_database_says_so(release_folder: Path) -> None:
    """RDS upgrades the standby at the same time, so it does not take over."""
    move = promote_release(release_folder, Request("members", "alpha", "beta"))
    assert any("restarts when this is deployed" in note and "16.9 -> 16.10" in note for note in move.notes)
    edit_file(release_folder, "beta", '"16.9"', '"16.10"')  # the first of them is core's
    move = promote_release(release_folder, Request("core", "alpha", "beta"))
    assert not any("restarts" in note for note in move.notes)


def test_a_major_upgrade_of_a_database_must_be_allowed(release_folder: Path) -> None:
    """It causes downtime, so the target's sizing has to allow it."""
    edit_file(release_folder, "alpha", "'16.10'", "'17.2'")
    assert refused_rules(release_folder) == {Rule.DATABASE_MAJOR_UPGRADE}
    edit_file(release_folder, "beta", "class: db.", "allow_major_upgrade: true, class: db.")
    promote_members(release_folder)


def test_a_release_that_makes_the_targets_file_invalid_is_refused(release_folder: Path) -> None:
    """A release for x86 does not fit beta's ARM instances; a release of another service is not affected."""
    head, members = read_file(release_folder, "alpha").split("    members:\n", 1)
    members = members.replace("        # built by CI\n", "        architecture: x86_64\n", 1)
    members = members.replace("t4g.small", "t3.small", 1)
    (release_folder / "Pulumi.alpha.yaml").write_text(f"{head}    members:\n{members}", encoding="utf-8")
    validate = added_problems(release_folder)
    assert refused_rules(release_folder, validate=validate) == {Rule.INVALID_RESULT}
    promote_release(release_folder, Request("core", "alpha", "beta"), validate=validate)


def test_a_problem_that_the_target_already_has_refuses_nothing(release_folder: Path) -> None:
    """Somebody else's mistake in the target's file does not stop a promotion, although it is on another line then."""
    edit_file(release_folder, "beta", "environment_variables: {SIGN_UP:", "environment_variables: {Sign-up:")
    edit_file(release_folder, "beta", "log_days: ", "log_dayz: ")
    validate = added_problems(release_folder)
    promote_release(release_folder, Request("core", "alpha", "beta"), validate=validate)


def test_releases_that_never_ran_together_are_noted_before_prod(
    release_folder: Path, snapshot: SnapshotAssertion
) -> None:
    """The note compares with the most similar set of releases that beta ran; the journal keeps it."""
    beta = state_of_file(release_folder, "beta")
    config = config_in_file(release_folder, "beta")
    config[SERVICES_KEY]["payments"]["release"]["version"] = "2.1.0"
    config[SERVICES_KEY]["members"]["release"]["version"] = "1.5.0"
    edit_file(release_folder, "beta", "version: 1.4.2", "version: 1.5.0")
    updates = (Update("update", "succeeded", LONG_AGO, config), *beta.updates)
    state = state_of_file(release_folder, "beta", updates=updates)
    move = promote_release(release_folder, Request("members", "beta", "prod"), state)
    (note,) = move.notes
    assert note == snapshot
    assert note in move.event.checks


def test_promoting_a_disabled_service_adds_a_note(release_folder: Path, snapshot: SnapshotAssertion) -> None:
    """Its release is deployed when someone enables it."""
    config = config_in_file(release_folder, "alpha")
    config[SERVICES_KEY]["events"]["enabled"] = True
    state = state_of_file(release_folder, "alpha", updates=(Update("update", "succeeded", LONG_AGO, config),))
    move = promote_release(release_folder, Request("events", "alpha", "beta"), state)
    assert move.notes == snapshot
    assert requested_release(release_folder, "beta", "events") == requested_release(release_folder, "alpha", "events")


# --- the journal


def test_a_release_is_promoted_once_per_backend(release_folder: Path) -> None:
    """After a rehearsal in the sandbox, the file has the release; the promotion on AWS still records its own checks."""
    first = promote_members(release_folder)
    assert refused_rules(release_folder) == {Rule.ALREADY_PROMOTED}
    second = promote_members(release_folder, minutes=1, backend="aws")
    assert second.before == second.after == first.after
    assert (second.event.backend, second.event.previous_block) == ("aws", first.event.previous_block)


def test_promotions_of_two_services_write_different_files(release_folder: Path) -> None:
    """So their branches merge without a conflict."""
    promote_members(release_folder)
    promote_release(release_folder, Request("payments", "alpha", "beta"))
    files = sorted(path.relative_to(release_folder).as_posix() for path in release_folder.rglob("releases/*/*.yaml"))
    assert [file.split("/")[1] for file in files] == ["members", "payments"]


def test_promotions_on_several_branches_merge(release_folder: Path) -> None:
    """Git merges them without a conflict, whichever services they are, and all are there afterwards."""

    def git(*arguments: str) -> None:
        options = ["-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *options, *arguments], cwd=release_folder, capture_output=True, text=True, check=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "start")
    for service in ENABLED_SERVICES:
        git("checkout", "-q", "-b", service, "main")
        promote_release(release_folder, Request(service, "alpha", "beta"))
        git("add", "-A")
        git("commit", "-qm", service)
    git("checkout", "-q", "main")
    for service in ENABLED_SERVICES:
        git("merge", "-q", "--no-edit", service)
    for service in ENABLED_SERVICES:
        release = requested_release(release_folder, "beta", service)
        assert release == requested_release(release_folder, "alpha", service)
        (event,) = journal.read(release_folder, service)
        assert event.fingerprint == fingerprint(release)


def test_a_file_that_cannot_be_written_leaves_no_event(release_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the disk is full: neither the file nor the journal changes."""
    before = files_below(release_folder)

    def fail(path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(promote, "write_atomically", fail)
    with pytest.raises(OSError, match="No space left"):
        promote_members(release_folder)
    assert journal.read(release_folder) == []
    assert files_below(release_folder) == before


def test_a_file_that_changed_in_the_meantime_is_refused(release_folder: Path) -> None:
    """Two promotions at the same time do not overwrite each other."""
    journal_before = journal.read(release_folder)

    def change_file(_file: str, _text: str) -> list[str]:
        set_version(release_folder, "beta", "1.4.3")
        return []

    with pytest.raises(RefusedError) as error:
        promote_release(release_folder, MEMBERS_TO_BETA, validate=change_file)
    assert error.value.rules == {Rule.FILE_CHANGED}
    assert journal.read(release_folder) == journal_before
    assert requested_release(release_folder, "beta", "members")["version"] == "1.4.3"
