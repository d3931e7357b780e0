"""Co-deployment: how a set of releases differs from those that were deployed together."""

from syrupy.assertion import SnapshotAssertion

from release.co_deployment import never_deployed_together
from settings.project_files import SERVICES_KEY
from tests.unit.release_builders import SAMPLES, config_in_file, make_update

RELEASES = {"a": {"version": "1"}, "b": {"version": "2", "x": "y"}}


def test_releases_that_ran_together_have_no_difference() -> None:
    """Services that ran beside them do not matter."""
    update = make_update({"a": {"release": RELEASES["a"]}, "b": {"release": RELEASES["b"]}})
    assert never_deployed_together(RELEASES, "beta", [update]) == []
    assert never_deployed_together({"a": RELEASES["a"]}, "beta", [update]) == []


def test_a_failed_update_deployed_nothing_together() -> None:
    """Only successful updates count."""
    update = make_update({"a": {"release": RELEASES["a"]}, "b": {"release": RELEASES["b"]}}, "failed")
    assert len(never_deployed_together(RELEASES, "beta", [update])) == 1


def test_the_most_similar_set_is_compared() -> None:
    """An update that differs in one service says more than a newer one that differs in two."""
    other = make_update({"a": {"release": {"version": "9"}}, "b": {"release": {"version": "9"}}})
    similar = make_update({"a": {"release": RELEASES["a"]}, "b": {"release": {"version": "9"}}})
    assert len(never_deployed_together(RELEASES, "beta", [other])) == 2
    assert len(never_deployed_together(RELEASES, "beta", [other, similar])) == 1


def test_messages(snapshot: SnapshotAssertion) -> None:
    """Each difference names the service, both versions, and the environment that ran the other one."""
    a = {"release": RELEASES["a"]}
    updates = {
        "another version": [make_update({"a": a, "b": {"release": {"version": "1"}}})],
        "other settings": [make_update({"a": a, "b": {"release": {"version": "2", "x": "z"}}})],
        "a service less": [make_update({"a": a})],
        "nothing deployed": [],
    }
    messages = {name: never_deployed_together(RELEASES, "beta", history) for name, history in updates.items()}
    assert messages == snapshot


def test_releases_that_differ_only_in_how_they_are_written_are_the_same() -> None:
    """Beta runs exactly that set although one file spells out a default, or names no variables."""
    release = config_in_file(SAMPLES, "beta")[SERVICES_KEY]["members"]["release"]
    spelled_out = {**release, "architecture": "arm64"}
    update = make_update({"members": {"release": spelled_out}, "core": {"release": {"version": "1"}}})
    assert never_deployed_together({"members": release}, "beta", [update]) == []
    assert never_deployed_together({"members": {**release, "architecture": "x86_64"}}, "beta", [update]) != []
