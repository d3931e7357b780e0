"""The order of the environments, and how long a release must run in each before it may move on. Pure."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from settings.promotion import Promotion


@dataclass(frozen=True)
class PromotionPath:
    """The promotion path of the project; its values are project configuration in Pulumi.yaml."""

    environments: tuple[str, ...]
    soak_times: dict[str, timedelta]  # by the environment that a release leaves

    @classmethod
    def from_settings(cls, promotion: Promotion) -> "PromotionPath":
        """Return the path that the project configuration describes."""
        soak_times = {name: timedelta(minutes=minutes) for name, minutes in promotion.soak_minutes.items()}
        return cls(tuple(promotion.path), soak_times)

    @property
    def last(self) -> str:
        """The environment that releases end up in."""
        return self.environments[-1]

    def is_step(self, source: str, target: str) -> bool:
        """Tell whether `target` directly follows `source`."""
        return (source, target) in itertools.pairwise(self.environments)

    def soak_time(self, source: str, target: str) -> timedelta:
        """Return how long a release must run in `source` before it moves to `target`.

        The soak times of skipped environments add up. An environment beside the path, such as staging, has none.
        """
        if source not in self.environments or target not in self.environments:
            return timedelta()
        steps = self.environments[self.environments.index(source) : self.environments.index(target)]
        return sum((self.soak_times[name] for name in steps), timedelta())

    def next_of(self, environment: str, deployed: Collection[str]) -> str | None:
        """Return the environment that a release moves to next, or None if there is none or it is not deployed."""
        return self._neighbor(environment, 1, deployed)

    def previous_of(self, environment: str, deployed: Collection[str]) -> str | None:
        """Return the environment that a release comes from, or None if there is none or it is not deployed."""
        return self._neighbor(environment, -1, deployed)

    def _neighbor(self, environment: str, offset: int, deployed: Collection[str]) -> str | None:
        if environment not in self.environments:
            return None
        index = self.environments.index(environment) + offset
        inside = 0 <= index < len(self.environments)
        return self.environments[index] if inside and self.environments[index] in deployed else None

    def requires_promotion(self, environment: str) -> bool:
        """Tell whether releases reach an environment only by promotion. Those of the first one come from CI."""
        return environment in self.environments[1:]

    def sort_key(self, environment: str) -> tuple[int, str]:
        """Return a key that sorts environments by the path; those beside it come last, by name."""
        on_path = environment in self.environments
        return (self.environments.index(environment) if on_path else len(self.environments), environment)

    def __str__(self) -> str:
        """Return the path as people write it."""
        return " -> ".join(self.environments)


def format_minutes(duration: timedelta) -> str:
    """Return a duration such as `1 d 2 h` or `40 min`."""
    minutes = int(duration.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, remaining = divmod(rest, 60)
    parts = [
        f"{days} d" if days else "",
        f"{hours} h" if hours else "",
        f"{remaining} min" if remaining or not (days or hours) else "",
    ]
    return " ".join(filter(None, parts))
