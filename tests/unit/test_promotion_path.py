"""The promotion path: the order of the environments, and how long a release must run in each."""

from datetime import timedelta
from pathlib import Path

import pytest

from release.promotion_path import PromotionPath, format_minutes
from settings.promotion import Promotion, load_promotion
from tests.unit.release_builders import PATH

ALL = ("alpha", "beta", "prod", "staging")


def test_the_path_comes_from_the_project_configuration(release_folder: Path) -> None:
    """Pulumi.yaml has the order, and the soak times in minutes."""
    promotion = Promotion(path=["dev", "live"], soak_minutes={"dev": 90})
    path = PromotionPath.from_settings(promotion)
    assert path == PromotionPath(("dev", "live"), {"dev": timedelta(hours=1, minutes=30)})
    assert (path.last, str(path)) == ("live", "dev -> live")
    assert PromotionPath.from_settings(load_promotion(release_folder)) == PATH


@pytest.mark.parametrize(
    ("source", "target", "is_step"),
    [
        ("alpha", "beta", True),
        ("beta", "prod", True),
        ("alpha", "prod", False),
        ("beta", "alpha", False),
        ("alpha", "alpha", False),
        ("staging", "beta", False),
        ("alpha", "staging", False),
    ],
)
def test_a_release_moves_one_step_forward(source: str, target: str, is_step: bool) -> None:  # noqa: FBT001 a parameter
    """Only the next environment is a step."""
    assert PATH.is_step(source, target) is is_step


@pytest.mark.parametrize(
    ("source", "target", "hours"),
    [
        ("alpha", "beta", 1),
        ("beta", "prod", 24),
        ("alpha", "prod", 25),
        ("prod", "alpha", 0),
        ("staging", "prod", 0),
        ("alpha", "staging", 0),
    ],
)
def test_soak_times_of_skipped_environments_add_up(source: str, target: str, hours: int) -> None:
    """An environment beside the path, such as staging, has no soak time."""
    assert PATH.soak_time(source, target) == timedelta(hours=hours)


def test_neighbors_are_deployed_environments() -> None:
    """The ends of the path and environments beside it have none, nor does one whose neighbor is not deployed."""
    assert [PATH.next_of(name, ALL) for name in ALL] == ["beta", "prod", None, None]
    assert [PATH.previous_of(name, ALL) for name in ALL] == [None, "alpha", "beta", None]
    assert PATH.next_of("alpha", ["alpha", "prod"]) is None
    assert PATH.previous_of("prod", ["alpha", "prod"]) is None


def test_only_later_environments_require_a_promotion() -> None:
    """CI writes the releases of the first one; nobody promotes to staging."""
    assert [name for name in ALL if PATH.requires_promotion(name)] == ["beta", "prod"]


def test_environments_sort_by_the_path() -> None:
    """Those beside it come last, by name."""
    assert sorted(["staging", "prod", "demo", "alpha", "beta"], key=PATH.sort_key) == [
        "alpha",
        "beta",
        "prod",
        "demo",
        "staging",
    ]


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=40), "40 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=25), "1 d 1 h"),
        (timedelta(days=2, minutes=5), "2 d 5 min"),
    ],
)
def test_durations_are_written_in_days_hours_and_minutes(duration: timedelta, text: str) -> None:
    """Parts that are zero are left out."""
    assert format_minutes(duration) == text
