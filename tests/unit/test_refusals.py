"""Refusals: every reason for which promote, rollback, hold and unhold refuse, as the command line prints it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.exit_codes import ExitCode
from cli.promote import added_problems
from cli.refusals import report_refusal
from release import journal
from release.environment_file import with_release
from release.errors import RefusedError, Rule
from release.health import Check, Issue, ServerReport
from release.holds import hold, lift_hold
from release.promote import Request
from release.rollback import roll_back
from settings.project_files import environment_file
from tests.unit.release_builders import (
    NOW,
    edit_file,
    promote_members,
    promote_release,
    read_file,
    service_urn,
    set_version,
    state_of_file,
)

Scenario = Callable[[Path], object]
LATER = NOW + timedelta(minutes=9)
MEMBERS_TO_BETA = Request("members", "alpha", "beta")


def already_promoted(folder: Path) -> None:
    """Promote the same release twice."""
    promote_members(folder)
    promote_members(folder, minutes=1)


def already_rolled_back(folder: Path) -> None:
    """Roll back twice, without a deployment in between."""
    promote_members(folder)
    request = Request("members", "", "beta", reason="slow")
    roll_back(folder, request, NOW + timedelta(minutes=1))
    roll_back(folder, request, LATER)


def database_downgrade(folder: Path) -> None:
    """Promote a release with an older database engine."""
    edit_file(folder, "beta", '"16.9"', '"16.11"')
    promote_members(folder)


def database_major_upgrade(folder: Path) -> None:
    """Promote a release with a new major version of the database engine."""
    edit_file(folder, "alpha", "'16.10'", "'17.2'")
    promote_members(folder)


def file_changed(folder: Path) -> None:
    """Promote while another process changes the target's file."""

    def change_file(_file: str, _text: str) -> list[str]:
        set_version(folder, "beta", "1.4.3")
        return []

    promote_release(folder, MEMBERS_TO_BETA, validate=change_file)


def another_version_deployed(folder: Path) -> None:
    """Promote a release that is not deployed to the source yet."""
    state = state_of_file(folder, "alpha")
    edit_file(folder, "alpha", "machine_image: ami-0", "machine_image: ami-9")
    promote_release(folder, MEMBERS_TO_BETA, state)


def other_settings_deployed(folder: Path) -> None:
    """Promote a release whose settings changed since it was deployed."""
    state = state_of_file(folder, "alpha")
    edit_file(folder, "alpha", 'SIGN_UP: "open"', 'SIGN_UP: "closed"')
    promote_release(folder, MEMBERS_TO_BETA, state)


def held(folder: Path) -> None:
    """Promote a release that is on hold."""
    hold(folder, "members", "1.5.0", "loses sessions", NOW)
    promote_members(folder, minutes=1)


def no_services(folder: Path) -> None:
    """Promote to an environment without services."""
    edit_file(folder, "beta", "100xglobal:services:", "100xglobal:service:")
    promote_members(folder)


def no_such_service(folder: Path) -> None:
    """Promote a service that the target does not have."""
    edit_file(folder, "beta", "    members:\n", "    member:\n")
    promote_members(folder)


def release_on_one_line(folder: Path) -> None:
    """Promote to a file whose release is not a block."""
    head, members = read_file(folder, "beta").split("    members:\n", 1)
    members = members.replace("release:\n", "release: {version: 1}\n      old:\n", 1)
    (folder / environment_file("beta")).write_text(f"{head}    members:\n{members}", encoding="utf-8")
    promote_members(folder)


def release_with_anchor(folder: Path) -> None:
    """Promote a release that refers to another part of its file."""
    state = state_of_file(folder, "alpha")
    text = read_file(folder, "alpha").replace("machine_image: ami", "machine_image: &ami ami", 1)
    text = text.replace("machine_image: ami-0123456789abcdef0", "machine_image: *ami")
    (folder / environment_file("alpha")).write_text(text, encoding="utf-8")
    promote_release(folder, MEMBERS_TO_BETA, state)


def more_than_the_release(folder: Path) -> None:
    """Replace lines that only look like a release."""
    lines = "  100xglobal:services:\n    members:\n      release:\n        version: 1.0.0\n"
    edit_file(folder, "beta", "config:\n", f"description: |\n{lines}config:\n")
    with_release(read_file(folder, "beta"), "members", "      release:\n        version: 2.0.0\n", "beta")


def not_utf_8(folder: Path) -> None:
    """Promote from a file in another encoding."""
    state = state_of_file(folder, "alpha")
    (folder / environment_file("alpha")).write_bytes(b"# \xe9\n")
    promote_release(folder, MEMBERS_TO_BETA, state)


def not_yaml(folder: Path) -> None:
    """Promote to a file with an error in its YAML."""
    edit_file(folder, "beta", "config:\n", "config:\n  a: 1\n  a: 2\n")
    promote_members(folder)


def no_config(folder: Path) -> None:
    """Roll back in a file without configuration."""
    (folder / environment_file("beta")).write_text("configuration: {}\n", encoding="utf-8")
    roll_back(folder, Request("members", "", "beta", reason="slow"), NOW)


def reused_version(folder: Path) -> None:
    """Promote another build of a version that was promoted before."""
    promote_members(folder)
    edit_file(folder, "alpha", "members@sha256:2", "members@sha256:9")
    promote_members(folder, minutes=1)


def invalid_result(folder: Path) -> None:
    """Promote a release for x86 to ARM instances."""
    head, members = read_file(folder, "alpha").split("    members:\n", 1)
    members = members.replace("        # built by CI\n", "        architecture: x86_64\n", 1)
    members = members.replace("t4g.small", "t3.small", 1)
    (folder / environment_file("alpha")).write_text(f"{head}    members:\n{members}", encoding="utf-8")
    promote_release(folder, MEMBERS_TO_BETA, validate=added_problems(folder))


def every_earlier_release_held(folder: Path) -> None:
    """Roll back when the only earlier release is on hold."""
    for minute, version in enumerate(("2.0.0", "3.0.0")):
        set_version(folder, "alpha", version)
        promote_members(folder, minutes=minute)
    for minute, version in enumerate(("1.4.2", "2.0.0"), 2):
        hold(folder, "members", version, "loses sessions", NOW + timedelta(minutes=minute))
    roll_back(folder, Request("members", "", "beta", reason="slow"), LATER)


def same_release_again(folder: Path) -> None:
    """Roll back when the release was replaced by one that is on hold, and that by the same release again."""
    edit_file(folder, "alpha", "'16.10'", '"16.9"')
    set_version(folder, "alpha", "2.0.0")
    promote_members(folder)
    hold(folder, "members", "2.0.0", "loses sessions", NOW + timedelta(minutes=1))
    first_block = journal.read(folder, "members")[0].previous_block
    text = with_release(read_file(folder, "alpha"), "members", first_block, "alpha")
    (folder / environment_file("alpha")).write_text(text, encoding="utf-8")
    promote_members(folder, minutes=2)
    roll_back(folder, Request("members", "", "beta", reason="slow"), LATER)


def no_hold(folder: Path) -> None:
    """Lift a hold that does not exist."""
    lift_hold(folder, "members", "1.5.0", "again", NOW)


def not_deployed(folder: Path) -> None:
    """Promote from an environment that does not run the service; on AWS."""
    request = Request("members", "alpha", "beta", backend="aws")
    promote_release(folder, request, state_of_file(folder, "alpha", updates=()))


def soaking(folder: Path) -> None:
    """Promote a release too early."""
    promote_release(folder, MEMBERS_TO_BETA, state_of_file(folder, "alpha", since=NOW - timedelta(minutes=20)))


def unhealthy(folder: Path) -> None:
    """Promote a release with several health issues."""
    members = service_urn("members", "alpha")
    database = members.replace("::members", "$aws:rds/instance:Instance::members-db")
    resource = {"urn": database, "parent": members, "initErrors": ["timeout"]}
    root = {
        "urn": "urn:pulumi:alpha::100xglobal::pulumi:pulumi:Stack::100xglobal-alpha",
        "outputs": {"services": {"members": {"release": "1.0.0", "image": "x"}}},
    }
    resources = (root, *state_of_file(folder, "alpha").resources, resource)
    state = state_of_file(folder, "alpha", resources=resources, pending=(database,))
    servers = ServerReport([Issue(Check.GROUP_MISSING, "the Auto Scaling group g does not exist in AWS")])
    promote_release(folder, MEMBERS_TO_BETA, state, servers=servers)


def several_reasons(folder: Path) -> None:
    """Promote although much is wrong."""
    hold(folder, "members", "1.5.0", "loses sessions", NOW)
    state = state_of_file(folder, "alpha", since=NOW - timedelta(minutes=20))
    promote_release(folder, Request("members", "alpha", "prod"), state)


def version_reused(folder: Path) -> object:
    """Promote a version, change its machine image without a new version, and promote it again."""
    promote_members(folder)
    edit_file(folder, "alpha", "machine_image: ami-0", "machine_image: ami-9")
    return promote_members(folder, minutes=1)


SCENARIOS: dict[str, tuple[Rule, Scenario]] = {
    "already promoted": (Rule.ALREADY_PROMOTED, already_promoted),
    "already rolled back": (Rule.ALREADY_ROLLED_BACK, already_rolled_back),
    "another version is deployed": (Rule.FILE_DIFFERS_FROM_DEPLOYED, another_version_deployed),
    "other settings are deployed": (Rule.FILE_DIFFERS_FROM_DEPLOYED, other_settings_deployed),
    "database downgrade": (Rule.DATABASE_DOWNGRADE, database_downgrade),
    "database major upgrade": (Rule.DATABASE_MAJOR_UPGRADE, database_major_upgrade),
    "the file changed": (Rule.FILE_CHANGED, file_changed),
    "on hold": (Rule.HELD, held),
    "no services": (Rule.INVALID_BLOCK, no_services),
    "no such service": (Rule.INVALID_BLOCK, no_such_service),
    "a release on one line": (Rule.INVALID_BLOCK, release_on_one_line),
    "a release with an anchor": (Rule.INVALID_BLOCK, release_with_anchor),
    "lines that look like a release": (Rule.INVALID_BLOCK, more_than_the_release),
    "not UTF-8": (Rule.INVALID_FILE, not_utf_8),
    "not YAML": (Rule.INVALID_FILE, not_yaml),
    "no configuration": (Rule.INVALID_FILE, no_config),
    "an invalid result": (Rule.INVALID_RESULT, invalid_result),
    "no file": (Rule.MISSING_FILE, lambda folder: promote_members(folder, target="gamma")),
    "no earlier release": (
        Rule.NO_EARLIER_RELEASE,
        lambda folder: roll_back(folder, Request("core", "", "beta", reason="slow"), NOW),
    ),
    "every earlier release is on hold": (Rule.NO_EARLIER_RELEASE, every_earlier_release_held),
    "the same release again": (Rule.NO_EARLIER_RELEASE, same_release_again),
    "another release of the same version": (Rule.VERSION_REUSED, version_reused),
    "no hold": (Rule.NO_HOLD, no_hold),
    "not deployed": (Rule.NOT_DEPLOYED, not_deployed),
    "not on the promotion path": (Rule.NOT_ON_PATH, lambda folder: promote_members(folder, target="prod")),
    "a hotfix without a reason": (Rule.REASON_REQUIRED, lambda folder: promote_members(folder, hotfix=True)),
    "a rollback without a reason": (
        Rule.REASON_REQUIRED,
        lambda folder: roll_back(folder, Request("members", "", "beta"), NOW),
    ),
    "a hold without a reason": (Rule.REASON_REQUIRED, lambda folder: hold(folder, "members", "1.4.2", "", NOW)),
    "soaking": (Rule.SOAKING, soaking),
    "unhealthy": (Rule.UNHEALTHY, unhealthy),
    "an unknown release": (Rule.UNKNOWN_RELEASE, lambda folder: hold(folder, "members", "0.0.0", "slow", NOW)),
    "a version that was promoted with other content": (Rule.VERSION_REUSED, reused_version),
    "several reasons": (Rule.NOT_ON_PATH, several_reasons),
}


def test_there_is_a_scenario_for_every_rule() -> None:
    """A new reason for a refusal gets a message below."""
    assert {rule for rule, _ in SCENARIOS.values()} == set(Rule)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_refusal_is_explained(
    name: str, release_folder: Path, capsys: pytest.CaptureFixture[str], snapshot: SnapshotAssertion
) -> None:
    """The message says what is wrong, where, and what to do; commands stand on lines of their own."""
    rule, scenario = SCENARIOS[name]
    with pytest.raises(RefusedError) as error:
        scenario(release_folder)
    assert rule in error.value.rules
    assert report_refusal(error.value) == ExitCode.FAILED
    assert capsys.readouterr().err == snapshot
