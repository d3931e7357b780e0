"""Versions seen together: releases that will run beside each other in an environment should have done so in the one before."""

from collections.abc import Mapping, Sequence
from typing import Any

from release.deployed import Update

Releases = Mapping[str, Mapping[str, Any]]


def not_seen_together(would_be: Releases, before: str, updates: Sequence[Update]) -> list[str]:
    """Return what was never tried: empty where some update of the environment before ran just these releases beside each other.

    would_be: the release of each service that will run. before: the name of the environment whose updates these are. Told is
    the closest that ran.
    """
    closest: list[str] | None = None
    for update in updates:
        if not update.succeeded:
            continue
        ran = update.releases()
        missing = [
            f"{service} {release.get('version')} ({before} had {ran[service].get('version') if service in ran else 'none'}{', of other settings' if same_version(ran.get(service), release) else ''})"
            for service, release in sorted(would_be.items())
            if ran.get(service) != release
        ]
        if not missing:
            return []
        if closest is None or len(missing) < len(closest):
            closest = missing
    if closest is None:
        return [f"nothing has run in {before} yet"]
    return closest


def same_version(ran: Mapping[str, Any] | None, release: Mapping[str, Any]) -> bool:
    """Tell whether only other fields than the version differ."""
    return ran is not None and ran.get("version") == release.get("version")
