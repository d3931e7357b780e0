"""Which releases were deployed together.

What will run side by side in an environment should have run side by side in the previous one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from release.stack_state import Update, is_same_release

Releases = Mapping[str, Mapping[str, Any]]


def never_deployed_together(releases: Releases, environment: str, updates: Sequence[Update]) -> list[str]:
    """Return how the given releases differ from the most similar set that was deployed; empty if exactly they were.

    releases: the release of each service that will run side by side.
    environment: the environment whose updates these are.
    """
    closest: list[str] | None = None
    for update in updates:
        if not update.succeeded:
            continue
        differences = differing_services(releases, update.releases(), environment)
        if not differences:
            return []
        if closest is None or len(differences) < len(closest):
            closest = differences
    return [f"nothing has been deployed to {environment} yet"] if closest is None else closest


def differing_services(releases: Releases, deployed: Releases, environment: str) -> list[str]:
    """Return a description of each service whose release was another one in an update."""
    differences = []
    for service, release in sorted(releases.items()):
        other = deployed.get(service)
        if is_same_release(other, release):
            continue
        version = other.get("version") if other else "none"
        settings = ", with different settings" if other and version == release.get("version") else ""
        differences.append(f"{service} {release.get('version')} ({environment} ran {version}{settings})")
    return differences
