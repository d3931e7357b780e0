"""What a preview would change in providers: their settings, and an upgrade of the provider's plugin. Pure.

Pulumi names a default provider after the plugin's version, so an upgrade creates another provider, moves every resource
to it and deletes the first one. To a reader, and to whoever approves it, that is one change: of the version.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from release.stack_state import PROVIDER_PREFIX, name_of, type_of

DEFAULT_PROVIDER = re.compile(r"^default(_\d+)+\w*$")
INTERNAL = "__internal"  # Pulumi's own note in a provider's inputs
SAME = "same"


@dataclass(frozen=True)
class ProviderSetting:
    """A setting of a provider that differs. An empty name stands for the provider itself.

    Attributes:
        urn: The provider.
        steps: What would be done to it, as Pulumi's plan names it.
        name: Of the setting.
        old: Its value; None if there is none.
        new: Its value; None if there is none.
    """

    urn: str
    steps: tuple[str, ...]
    name: str = ""
    old: Any = None
    new: Any = None


def is_provider(urn: str) -> bool:
    """Tell whether a resource is a provider."""
    return type_of(urn).startswith(PROVIDER_PREFIX)


def upgrades(plan: Mapping[str, Any], deployed: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the URN of each deployed default provider that another version replaces, with the URN of the other one.

    Only if each side has a single default provider of the package: with two of them, some resources could be moved to
    another version and others not, which is no upgrade.
    """
    before = default_providers(resource["urn"] for resource in deployed)
    after = default_providers(
        urn for urn, entry in (plan.get("resourcePlans") or {}).items() if "delete" not in (entry.get("steps") or ())
    )
    pairs = {}
    for package, old in before.items():
        new = after.get(package, [])
        if len(old) == len(new) == 1 and old != new:
            pairs[old[0]] = new[0]
    return pairs


def default_providers(urns: Iterator[str]) -> dict[str, list[str]]:
    """Return the URNs of default providers by the type of provider."""
    found: dict[str, list[str]] = {}
    for urn in urns:
        if is_provider(urn) and DEFAULT_PROVIDER.match(name_of(urn)):
            found.setdefault(type_of(urn), []).append(urn)
    return found


def is_upgraded(old: str, new: str, pairs: Mapping[str, str]) -> bool:
    """Tell whether a resource only moves to the next version of its provider. old, new: `URN::id` of its provider."""
    return new.rpartition("::")[0] == pairs.get(old.rpartition("::")[0])


def provider_settings(
    plan: Mapping[str, Any],
    deployed: Sequence[Mapping[str, Any]],
    pairs: Mapping[str, str],
    canonical: Callable[[Any], Any],
) -> Iterator[ProviderSetting]:
    """Yield what would change in providers.

    pairs: of `upgrades`.
    canonical: returns a value as changes compare it.
    """
    inputs = {resource["urn"]: resource.get("inputs") or {} for resource in deployed}
    for urn, entry in (plan.get("resourcePlans") or {}).items():
        if not is_provider(urn) or urn in pairs:
            continue
        goal, steps = entry.get("goal") or {}, tuple(step for step in entry.get("steps") or () if step != SAME)
        difference = goal.get("inputDiff") or {}
        given = {**(difference.get("adds") or {}), **(difference.get("updates") or {})}
        old_urn = next((old for old, new in pairs.items() if new == urn), None)
        if old_urn is not None:
            before, after = (canonical(values) for values in (inputs[old_urn], given))
            for name in sorted({*before, *after} - {INTERNAL}):
                if before.get(name) != after.get(name):
                    yield ProviderSetting(old_urn, (), name, before.get(name), after.get(name))
            continue
        for name, value in sorted(given.items()):
            yield ProviderSetting(urn, (), name, None, canonical(value))
        for name in difference.get("deletes") or ():
            yield ProviderSetting(urn, (), str(name), "(set)", None)
        if steps:
            yield ProviderSetting(urn, steps)
