"""The state of a stack: since when a release runs, and what counts after the stack was destroyed."""

from datetime import timedelta
from pathlib import Path

from release.stack_state import Update
from tests.unit.release_builders import LONG_AGO, NOW, config_in_file, state_of_file


def test_a_release_runs_since_its_first_update_whatever_failed_later(release_folder: Path) -> None:
    """A failed update that wanted the same release interrupts nothing; one that wanted another release does."""
    config, other = config_in_file(release_folder, "alpha"), config_in_file(release_folder, "beta")
    success, failure = Update("update", "succeeded", LONG_AGO, config), Update("update", "failed", NOW, config)
    state = state_of_file(release_folder, "alpha", updates=(failure, success))
    assert state.running_since("members") == LONG_AGO
    newest, interruption = Update("update", "succeeded", NOW, config), Update("update", "failed", NOW, other)
    state = state_of_file(release_folder, "alpha", updates=(newest, interruption, success))
    assert state.running_since("members") == NOW


def test_updates_before_a_destroy_say_nothing_about_what_exists(release_folder: Path) -> None:
    """The soak time starts again, and a stack that is being created again has no successful update."""
    config = config_in_file(release_folder, "alpha")
    success = Update("update", "succeeded", LONG_AGO, config)
    destroy = Update("destroy", "succeeded", NOW - timedelta(hours=2), config)
    newest = Update("update", "succeeded", NOW - timedelta(minutes=5), config)
    state = state_of_file(release_folder, "alpha", updates=(newest, destroy, success))
    assert state.running_since("members") == newest.ended
    assert state.updates_since_destroy() == (newest,)
    failure = Update("update", "failed", NOW, config)
    assert state_of_file(release_folder, "alpha", updates=(failure, destroy, success)).last_success() is None


def test_a_failed_destroy_leaves_the_updates_before_it(release_folder: Path) -> None:
    """What it did not delete still exists, but the stack is not healthy."""
    config = config_in_file(release_folder, "alpha")
    success, destroy = Update("update", "succeeded", LONG_AGO, config), Update("destroy", "failed", NOW, config)
    state = state_of_file(release_folder, "alpha", updates=(destroy, success))
    assert state.last_success() == success
    assert len(state.health_issues("members")) == 1
