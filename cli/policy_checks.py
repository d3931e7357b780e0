"""The gate for the policy pack in `policy/`: its findings by resource, and whether Pulumi does what was judged."""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_policy import proxy

from cli.backends import Backend, backend_named
from cli.gate import Options, review
from cli.up import has_resources
from common.errors import InfraError
from release import gate as rules
from release import gate_report, journal
from release.changes import BOOKKEEPING, SECRET, UNKNOWN, UNKNOWN_TEXT, canonical, describe, differences
from release.stack_state import PROVIDER_PREFIX, name_of, type_of

SANDBOX_VARIABLE = "INFRA_SANDBOX_STALE_CHECK"  # only Pulumi in the sandbox has it
UNKNOWNS = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_") and isinstance(value, str)}


@dataclass(frozen=True)
class Verdict:
    """What the gate says about an update.

    Attributes:
        by_urn: What fails the gate at each resource.
        general: What fails it as a whole.
        planned: The inputs of each resource in the preview that was judged; None if nothing was previewed.
    """

    by_urn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    general: tuple[str, ...] = ()
    planned: Mapping[str, Any] | None = None

    def violations(self, urn: str, inputs: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with a resource. inputs: what Pulumi is about to give it."""
        yield from self.general
        yield from self.by_urn.get(urn, ())
        if self.planned is None or type_of(urn).startswith(PROVIDER_PREFIX):
            return
        if urn not in self.planned:
            yield f"{name_of(urn)} was not in the preview that the gate judged"
            return
        for path in deviations(self.planned[urn], inputs):
            yield f"{path} of {name_of(urn)} is not what it was in the preview that the gate judged"

    def violations_elsewhere(self, urns: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield (URN, message) of what is wrong with resources that the program does not have."""
        for urn, messages in self.by_urn.items():
            if urn not in urns:
                yield from ((urn, message) for message in messages)


def deviations(planned: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths where a resource's inputs differ from those in a preview, as far as both are known.

    Pulumi chooses new automatic names in every run.
    """
    automatic = set(planned.get("__defaults") or ()) | BOOKKEEPING
    before, after = (
        {name: value for name, value in inputs.items() if name not in automatic} for inputs in (planned, actual)
    )
    for path, old, new in differences(canonical(before), canonical(after)):
        is_known = not any(mark in repr(value) for value in (old, new) for mark in (UNKNOWN_TEXT, SECRET))
        if is_known:
            yield path


def plain(value: Any) -> Any:
    """Return a resource's inputs without the policy SDK's proxies, which fail on values that are not known yet.

    Its different placeholders for such values become the one of previews.
    """
    if isinstance(value, Mapping):
        inner = value if isinstance(value, dict) else value["__target"]
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        inner = value if isinstance(value, list | tuple) else value["__target"]  # type: ignore[call-overload] # a proxy
        return [plain(item) for item in inner]
    return UNKNOWN if isinstance(value, str) and value in UNKNOWNS else value


def judge(folder: Path, environment: str) -> Verdict:
    """Run the gate on an environment. Where it cannot run, nothing may change."""
    backend = backend_named("sandbox" if SANDBOX_VARIABLE in os.environ else "aws")
    try:
        return judge_on(folder, backend, environment)
    except InfraError as error:
        return Verdict(general=(f"the gate cannot judge this update: {error}",))


def judge_on(folder: Path, backend: Backend, environment: str) -> Verdict:
    """Run the gate on an environment of a backend. Of an empty environment, it only refuses releases on hold."""
    deployed = backend.state(environment)
    if not has_resources(deployed):
        held = rules.held_findings(deployed, rules.requested_config(folder, environment), journal.read(folder))
        return Verdict(general=tuple(f"{finding.owner}: {finding.message}" for finding in held))
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        reviewed = review(folder, backend, environment, Path(scratch) / "plan.json", Options())
    by_urn: dict[str, list[str]] = {}
    for item in reviewed.result.unapproved:
        message = f"{describe(item.change)}; {gate_report.approval_state(item)}"
        by_urn.setdefault(item.change.urn, []).append(f"{message}. See ./infra gate {environment}{backend.suffix}")
    for finding in reviewed.result.blockers:
        by_urn.setdefault(finding.urn, []).append(finding.message)
    return Verdict(
        by_urn={urn: tuple(messages) for urn, messages in by_urn.items()},
        planned={step["urn"]: (step.get("newState") or {}).get("inputs") or {} for step in reviewed.preview.steps},
    )
