"""Which changes come from the program's code rather than from the configuration. Pure.

The program that deployed an environment is the reference. What the current program would change otherwise than the
reference, with the same configuration, comes from code and needs an approval, whatever it is.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from release.changes import KEEP, UNKNOWN_TEXT, UPDATE, Change, as_text, canonical, differences
from release.stack_state import FOUNDATION, STACK_TYPE, name_of, owner_of, type_of
from settings.project_files import PROJECT

OUTPUT = "output:"  # the prefix of a property that is an output of the stack
PROJECT_SETTING = "Pulumi.yaml:"  # the prefix of a property that is a setting of the project
DESCRIPTION = "description"  # the key of a text that only explains
CodeChanges = frozenset[Change]  # changes that come from code, whether the preview shows them or not
NONE: CodeChanges = frozenset()


@dataclass(frozen=True)
class Recorded:
    """What a program registers under mocks.

    Attributes:
        inputs: The inputs of each resource, by URN. Outputs of other resources in them are those of the mocks.
        parents: The parent of each resource.
        outputs: The stack's outputs.
    """

    inputs: Mapping[str, Mapping[str, Any]]
    parents: Mapping[str, str]
    outputs: Mapping[str, Any]


def against_reference(
    changes: Collection[Change], reference: Collection[Change], *, must_happen: bool = True
) -> CodeChanges:
    """Compare two previews of the requested configuration: the current program's and the reference's.

    must_happen: whether a change that only the reference makes counts. After a failed update it does not, because that
    update may have made changes which the reference would take back.
    """
    positions = {(change.urn, change.property) for change in changes}
    prevented = {
        Change(change.urn, KEEP, change.property, change.old, change.new, change.owner)
        for change in set(reference) - set(changes)
        if must_happen and (change.urn, change.property) not in positions
    }
    return frozenset(set(changes) - set(reference) | prevented)


def against_baseline(changes: Iterable[Change], baseline: Collection[Change]) -> CodeChanges:
    """Compare two previews of the current program: with the requested and with the deployed configuration.

    Whatever it would change with the deployed configuration comes from code. That is what can be known without the
    reference. It does not show code that only acts together with the requested configuration. An update that changes no
    property does not come from code, but from a change in AWS.
    """
    positions = {(change.urn, change.property) for change in baseline if change.property or change.operation != UPDATE}
    return frozenset(change for change in changes if (change.urn, change.property) in positions)


def under_mocks(
    changes: Iterable[Change], found: CodeChanges, current: Recorded, reference: Recorded, *, complete: bool = True
) -> CodeChanges:
    """Compare what two programs register under mocks, where every value is known. Returns what was not found before.

    Previews do not show the stack's outputs, nor values that are unknown until the update, nor what a program only does
    when it is not previewed.

    complete: whether to compare all resources, not only those with values that the preview does not know. After a
    failed update, others may differ because that update has made some of the changes.
    """
    unknown = {change.urn: change.operation for change in changes if UNKNOWN_TEXT in change.new}
    recorded = {urn for urn in {*current.inputs, *reference.inputs} if complete or urn in unknown}
    hidden = set()
    for urn in recorded:
        owner = owner_of(urn, {**reference.parents, **current.parents})
        before, after = (canonical(run.inputs.get(urn, {})) for run in (reference, current))
        for path, old, new in differences(before, after):
            change = Change(urn, unknown.get(urn, UPDATE), path, as_text(old), as_text(new), owner)
            if not is_found(change, found):
                hidden.add(change)
    return frozenset(hidden) | output_changes(current, reference)


def project_changes(current: Mapping[str, Any], reference: Mapping[str, Any], stack: str) -> CodeChanges:
    """Return how the project files of two programs differ, apart from descriptions.

    A project file can name the folder of a provider's plugin, for example, or shorten the soak time, and no preview
    shows it.
    """
    urn = f"urn:pulumi:{stack}::{PROJECT}::{STACK_TYPE}::{PROJECT}-{stack}"
    before, after = (without_descriptions(project) for project in (reference, current))
    return frozenset(
        Change(urn, UPDATE, f"{PROJECT_SETTING}{path}", as_text(old), as_text(new), FOUNDATION)
        for path, old, new in differences(canonical(before), canonical(after))
    )


def without_descriptions(value: Any) -> Any:
    """Return nested values without their descriptions."""
    if not isinstance(value, Mapping):
        return value
    return {key: without_descriptions(item) for key, item in value.items() if key != DESCRIPTION}


def output_changes(current: Recorded, reference: Recorded) -> CodeChanges:
    """Return the outputs of the stack that two programs set differently. Everybody who can read the stack sees them."""
    urn = next((urn for urn in current.parents.values() if type_of(urn) == STACK_TYPE), STACK_TYPE)
    found = differences(canonical(reference.outputs), canonical(current.outputs))
    return frozenset(
        Change(urn, UPDATE, f"{OUTPUT}{path}", as_text(old), as_text(new), FOUNDATION) for path, old, new in found
    )


def is_found(change: Change, found: CodeChanges) -> bool:
    """Tell whether a change was already found: the same property, one around it or within it, or the whole resource.

    Under mocks, a resource with an alias has its new URN, so URNs are not compared.
    """
    same = [other.property for other in found if alike(other.urn) == alike(change.urn)]
    return any(path.startswith(change.property) or change.property.startswith(path) for path in same)


def alike(urn: str) -> tuple[str, str]:
    """Return what a resource keeps when its parent changes: its type and its name."""
    return type_of(urn), name_of(urn)
