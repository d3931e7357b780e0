"""Builders for the tests of the gate: what is deployed, and previews of the whole program with an edited file."""

import copy
import functools
import json
import runpy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.output import Unknown

from mocks.aws import COMPUTED, Resource, Run, run
from release import code_changes, field_effects
from release.changes import UNKNOWN, Change, Preview, canonical, changes_in
from release.gate import Inputs
from release.intent import Expectation, read_intent
from release.journal import Event
from release.stack_state import STACK_TYPE, StackState, Update, name_of, type_of
from services import all_services
from settings.project_files import PROJECT, SERVICES_KEY
from tests.unit.conftest import ROOT
from tests.unit.release_builders import NOW, PATH, SAMPLES, config_in_file, make_state

Config = dict[str, Any]
Edit = Callable[[Config], object]
TEMPLATE_NAME, GROUP_NAME = "members-servers-template", "members-servers-group"


def beta_config() -> Config:
    """Return the configuration of beta in the release samples, as a copy that a test may change."""
    return config_in_file(SAMPLES, "beta")


def block(config: Config, service: str = "members") -> dict[str, Any]:
    """Return a service's block."""
    value: dict[str, Any] = config[SERVICES_KEY][service]
    return value


@functools.cache
def program(config: str, *, preview: bool) -> Run:
    """Return what the program registers for beta with a configuration, as JSON."""
    return run(
        lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
        stack="beta",
        config=json.loads(config),
        preview=preview,
    )


def with_unknowns(value: Any) -> Any:
    """Return a value with what is unknown in a preview, as the engine writes it."""
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: with_unknowns(item) for key, item in value.items()}
    return [with_unknowns(item) for item in value] if isinstance(value, list) else value


def state_of(resource: Resource) -> dict[str, Any]:
    """Return a resource as a state or a preview contains it."""
    custom = resource.type.startswith("aws:")
    outputs = {
        "arn": f"arn:aws:::{resource.name}",
        "name": f"{resource.name}-1a2b3c4",
        **COMPUTED.get(resource.type, {}),
    }
    return {
        "urn": resource.urn,
        "type": resource.type,
        "parent": resource.parent,
        "custom": custom,
        "inputs": with_unknowns(resource.inputs),
        "propertyDependencies": {name: list(urns) for name, urns in resource.property_dependencies.items()},
        **({"protect": True} if resource.protect else {}),
        **({"id": f"{resource.name}-id", "outputs": outputs} if custom else {}),
    }


def step_between(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    """Return the step that makes one state of a resource the other."""
    state = new or old or {}
    if old is None or new is None:
        operation = "create" if old is None else "delete"
    else:
        is_same = canonical(old["inputs"]) == canonical(new["inputs"]) and old.get("protect") == new.get("protect")
        operation = "same" if is_same else "update"
    return {"op": operation, "urn": state["urn"], "oldState": old, "newState": new}


@dataclass
class Scenario:
    """A preview of beta that a test may tamper with.

    Attributes:
        deployed: What is deployed.
        config: The requested configuration.
        steps: The steps of the preview, by the resource's name and type.
        plan: The plan's entries, by URN.
        baseline: The steps of the baseline preview; None if there is none.
    """

    deployed: StackState
    config: Config
    steps: dict[tuple[str, str], dict[str, Any]]
    plan: dict[str, Any] = field(default_factory=dict)
    baseline: dict[tuple[str, str], dict[str, Any]] | None = None

    def step(self, name: str, resource_type: str = "aws:") -> dict[str, Any]:
        """Return the step of a resource by its name and the beginning of its type."""
        (step,) = (
            step for (other, kind), step in self.steps.items() if other == name and kind.startswith(resource_type)
        )
        return step

    def change(self, name: str, **inputs: Any) -> dict[str, Any]:
        """Let the preview also change inputs of a resource, and return its step."""
        step = self.step(name)
        step["newState"] = copy.deepcopy(step["newState"])
        step["newState"]["inputs"] |= inputs
        if step["op"] == "same":
            step["op"] = "update"
        return step

    def add(self, name: str, resource_type: str, parent: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Let the preview also create a resource, and return its step. parent: its URN."""
        head, types, _ = parent.rsplit("::", 2)
        urn = f"{head}::{types}${resource_type}::{name}"
        state = {"urn": urn, "type": resource_type, "parent": parent, "custom": True, "inputs": dict(inputs)}
        self.steps[name, resource_type] = {"op": "create", "urn": urn, "oldState": None, "newState": state}
        return self.steps[name, resource_type]

    def delete(self, name: str) -> dict[str, Any]:
        """Let the preview delete a resource, and return its step."""
        step = self.step(name)
        step.update(op="delete", newState=None)
        return step

    @property
    def preview(self) -> Preview:
        """The preview as the gate gets it."""
        return Preview({"steps": list(self.steps.values())}, {"resourcePlans": self.plan})

    def unexpected(self) -> list[Change]:
        """Return the changes that do not follow from the configuration."""
        changes = changes_in(self.preview, self.deployed)
        expectation = Expectation(
            read_intent(self.deployed, self.config),
            deployed=self.deployed,
            preview=self.preview,
            config=self.config,
            effects=field_effects.load(),
            specs=all_services(),
        )
        accepted = expectation.expected(changes)
        return [change for change in changes if change not in accepted]

    def unexpected_properties(self) -> set[tuple[str, str]]:
        """Return the name of the resource and the property of each unexpected change."""
        return {(name_of(change.urn), change.property) for change in self.unexpected()}

    def inputs(self, *events: Event, known: Mapping[str, set[str]] | None = None) -> Inputs:
        """Return what the gate judges."""
        code = code_changes.NONE
        if self.baseline is not None:
            baseline = Preview({"steps": list(self.baseline.values())}, {})
            changes = [changes_in(preview, self.deployed) for preview in (self.preview, baseline)]
            code = code_changes.against_baseline(*changes)
        return Inputs(
            preview=self.preview,
            deployed=self.deployed,
            config=self.config,
            specs=all_services(),
            effects=field_effects.load(),
            events=events,
            path=PATH,
            backend="sandbox",
            known=known,
            code=code,
        )


def make_scenario(edit: Edit | None = None, *, before: Edit | None = None) -> Scenario:
    """Return a preview of beta after an edit of its file, with everything else deployed.

    before: an edit of what is deployed. Outputs of changed launch templates are unknown, as in a real preview; so are
    all outputs that new resources use.
    """
    deployed_config = beta_config()
    if before:
        before(deployed_config)
    config = copy.deepcopy(deployed_config)
    if edit:
        edit(config)
    old, new = (
        program(json.dumps(value, sort_keys=True), preview=False).resources for value in (deployed_config, config)
    )
    previewed = program(json.dumps(config, sort_keys=True), preview=True).resources
    states = {urn: state_of(resource) for urn, resource in old.items()}
    steps = {}
    for urn in sorted({*old, *new}):
        after = state_of(new[urn] if urn in old else previewed[urn]) if urn in new else None
        steps[name_of(urn), type_of(urn)] = step_between(states.get(urn), after)
    scenario = Scenario(deployed_state(deployed_config, states.values()), config, steps)
    for name, _ in list(steps):
        if name.endswith("-servers-template") and scenario.step(name)["op"] == "update":
            group = scenario.step(name.replace("-template", "-group"))
            template = group["newState"]["inputs"]["launchTemplate"]
            scenario.change(name.replace("-template", "-group"), launchTemplate={**template, "version": UNKNOWN})
    return scenario


def deployed_state(config: Config, resources: Iterable[Mapping[str, Any]], result: str = "succeeded") -> StackState:
    """Return the state of beta after one update with a configuration."""
    root = {"urn": f"urn:pulumi:beta::{PROJECT}::{STACK_TYPE}::{PROJECT}-beta", "type": STACK_TYPE}
    return make_state(Update("update", result, NOW, config), resources=(root, *resources))
