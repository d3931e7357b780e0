"""What the difference between the deployed and the requested configuration asks for, and what follows from it. Pure.

Everything that does not follow is unexpected. That is the whole rule: there is no list of dangerous changes behind it.
"""

import contextlib
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from release.changes import (
    CREATE,
    DELETE,
    MISSING,
    OPTION,
    REPLACE,
    UNKNOWN_TEXT,
    UPDATE,
    Change,
    Preview,
    canonical,
    flatten,
)
from release.field_effects import (
    ANY_KEY,
    REFERENCE,
    SERVICE,
    SERVICE_IDENTIFIER,
    Effect,
    FieldEffects,
    Template,
    kind_of,
    labels_in,
    matches_name,
    name_pattern,
)
from release.stack_state import FOUNDATION, GROUP_TYPE, StackState, name_of, type_of
from settings.models import Environment, Service
from settings.project_files import ACCOUNTS_KEY, ENVIRONMENT_KEY, SERVICES_KEY
from settings.service_spec import ServiceSpec

ENVIRONMENT_PREFIX = "environment"
# Maps whose keys users choose.
FREE_MAPS = ("release.environment_variables", "environment.dns.delegations", "environment.dns.records")
OPTIONS_OF_CREATIONS = frozenset({f"{OPTION}additionalSecretOutputs", f"{OPTION}protect"})
EVERYWHERE = {"0.0.0.0/0": "anywhere-ipv4", "::/0": "anywhere-ipv6"}  # how names call these ranges
SHORTEST_REFERENCE = 4  # characters; shorter outputs occur in other texts by chance


@dataclass(frozen=True)
class FieldChange:
    """A field that differs. key: of a map whose keys users choose. olds: its values in what may be deployed."""

    field: str
    key: str
    olds: tuple[Any, ...]
    new: Any


@dataclass(frozen=True)
class Intent:
    """What a configuration asks for.

    Attributes:
        fields: The fields that differ, by owner. Those of the environment are listed under `foundation`.
        enabled: Services that the configuration adds.
        disabled: Services that it removes.
        is_first: Nothing has ever been deployed completely, so everything is new.
    """

    fields: Mapping[str, tuple[FieldChange, ...]]
    enabled: frozenset[str]
    disabled: frozenset[str]
    is_first: bool = False

    def owners(self) -> set[str]:
        """Return the services, and `foundation`, whose configuration differs."""
        return {owner for owner, fields in self.fields.items() if fields} | self.enabled | self.disabled


def read_intent(deployed: StackState, config: Mapping[str, Any]) -> Intent:
    """Return what a configuration asks for, compared with what may be deployed.

    Failed updates since the last successful one count as well: what they began exists, and undoing it is a change. A
    stack without any history says nothing about what is deployed, so nothing is asked for.
    """
    updates = []
    for update in deployed.updates_since_destroy():
        if update.kind == "update":
            updates.append(update)
        if update.succeeded:
            break
    earlier = [update.config for update in updates]
    is_first = bool(updates) and not updates[-1].succeeded
    last = deployed.last_success()
    running = set(last.releases()) if last else set()
    wanted = enabled_services(config) if updates else set()
    fields = {
        name: tuple(
            field_changes(
                [with_defaults(services_of(before).get(name) or {}) for before in earlier], with_defaults(block)
            )
        )
        for name, block in services_of(config).items()
    }
    environments = [environment_with_defaults(before) for before in earlier]
    fields[FOUNDATION] = tuple(field_changes(environments, environment_with_defaults(config)))
    return Intent(fields, frozenset(wanted - running), frozenset(running - wanted), is_first)


def services_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of each service."""
    services = config.get(SERVICES_KEY)
    return services if isinstance(services, Mapping) else {}


def with_defaults(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a service's block with the defaults of what it leaves out; as it is if it is not valid."""
    try:
        return Service.model_validate(block).model_dump(by_alias=True)
    except ValidationError:
        return block


def environment_with_defaults(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration's environment with defaults, below the prefix that its fields have."""
    block = config.get(ENVIRONMENT_KEY) or {}
    with contextlib.suppress(ValidationError):
        block = Environment.model_validate(block).model_dump(by_alias=True)
    return {ENVIRONMENT_PREFIX: block}


def enabled_services(config: Mapping[str, Any]) -> set[str]:
    """Return the services that a configuration enables."""
    return {name for name, block in services_of(config).items() if block.get("enabled", True)}


def fields_of(block: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield (field, key, value) of each field in a block. Lists are values; maps with free keys have a key."""
    for name, value in block.items():
        field = f"{path}.{name}" if path else name
        if field in FREE_MAPS and isinstance(value, Mapping):
            for key, item in value.items():
                yield f"{field}.{ANY_KEY}", key, item
        elif isinstance(value, Mapping) and field not in {"sizing.database.restore", "sizing.database.restore_to_time"}:
            yield from fields_of(value, field)
        else:
            yield field, "", value


def field_changes(earlier: Sequence[Mapping[str, Any]], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    """Yield the fields that differ between a block and any of its earlier versions."""
    new = {(field, key): value for field, key, value in fields_of(after)}
    olds = [{(field, key): value for field, key, value in fields_of(before)} for before in earlier]
    for field, key in sorted({*new, *(item for old in olds for item in old)}):
        value = new.get((field, key))
        different = [old.get((field, key)) for old in olds if old.get((field, key)) != value]
        if different:
            yield FieldChange(field, key, tuple(different), value)


class Expectation:
    """Decides which changes of a preview follow from an intent."""

    def __init__(
        self,
        intent: Intent,
        *,
        deployed: StackState,
        preview: Preview,
        config: Mapping[str, Any],
        effects: FieldEffects,
        specs: Mapping[str, ServiceSpec],
    ) -> None:
        """Index what the decisions need."""
        self.intent, self.effects, self.specs, self.config = intent, effects, specs, config
        self.deployed = deployed
        self.state = {resource["urn"]: resource for resource in deployed.resources}
        self.planned = {step["urn"]: step.get("newState") or {} for step in preview.steps}

    def expected(self, changes: Iterable[Change]) -> set[Change]:
        """Return the changes that follow from the intent.

        What another resource's expected replacement causes follows too, so this repeats until nothing is added.
        """
        remaining, accepted = set(changes), {change for change in changes if self.follows(change)}
        while True:
            by_urn: dict[str, list[Change]] = {}
            for change in remaining:
                by_urn.setdefault(change.urn, []).append(change)
            recreated = {change.urn for change in accepted if change.operation in {CREATE, REPLACE}}
            added = {
                change
                for change in remaining - accepted
                if self.is_caused_by(change, recreated) or self.is_expected_replacement(change, by_urn, accepted)
            }
            if not added:
                return accepted
            accepted |= added

    def follows(self, change: Change) -> bool:
        """Tell whether a change follows directly from a field that differs."""
        if self.intent.is_first:
            return True
        if change.owner in self.intent.disabled:
            return change.operation == DELETE
        if self.retries_rolled_back_deployment(change):
            return True
        if change.owner in self.intent.enabled:
            return self.is_part_of_new_service(change)
        if not change.property:
            if change.operation in {CREATE, DELETE}:
                return self.is_created_by_field(change)
            return change.operation == UPDATE and self.restores_deployed_inputs(change)
        return any(self.explains(field, effect, change) for field, effect in self.candidates(change))

    def retries_rolled_back_deployment(self, change: Change) -> bool:
        """Tell whether a group gets the newest version of its launch template again, after it was rolled back."""
        return (
            change.property == "launchTemplate.version"
            and type_of(change.urn) == GROUP_TYPE
            and change.owner in self.deployed.rolled_back_services()
            and self.is_output_of_dependency(change, parse(change.new))
        )

    def fields_for(self, owner: str) -> Iterator[FieldChange]:
        """Yield the fields that may change an owner's resources."""
        if owner != FOUNDATION:
            yield from self.intent.fields.get(owner, ())
        yield from self.intent.fields.get(FOUNDATION, ())

    def candidates(self, change: Change) -> Iterator[tuple[FieldChange, Effect]]:
        """Yield the changed fields that may change a property."""
        effects = list(self.effects.on_property(name_pattern(name_of(change.urn), change.owner), change.property))
        for field in self.fields_for(change.owner):
            for effect in effects:
                if effect.field == field.field and (
                    not field.key or ANY_KEY not in effect.property or key_of(effect, change) == field.key
                ):
                    yield field, effect

    def explains(self, field: FieldChange, effect: Effect, change: Change) -> bool:
        """Tell whether the new value of a property follows from the new value of a field."""
        old, new = parse(change.old), parse(change.new)
        if new is None and change.property.startswith(OPTION):
            new = False  # the state of a resource only has the options that are set
        if effect.relation == "computed":
            return self.is_output_of_dependency(change, new)
        if new == UNKNOWN_TEXT:
            return False  # nobody can check it, and nothing says that it must be unknown
        if effect.relation == "equal":
            return new == MISSING if field.new is None else same(new, field.new)
        if effect.relation == "opposite":
            return new is not bool(field.new)
        if effect.relation == "multiple":
            return is_multiple(old, new, field)
        if effect.relation == "text":
            return isinstance(old, str) and isinstance(new, str) and new in self.substitutions(old, change)
        return True

    def substitutions(self, text: str, change: Change) -> set[str]:
        """Return what a text may become when fields in it change."""
        results = {text}
        for field, effect in self.candidates(change):
            if effect.relation == "text":
                results |= {one.replace(str(old), str(field.new)) for one in results for old in field.olds}
        return results

    def is_created_by_field(self, change: Change) -> bool:
        """Tell whether an entry of a list, such as a zone, brings or takes a resource."""
        pattern, resource_type = name_pattern(name_of(change.urn), change.owner), type_of(change.urn)
        for field in self.fields_for(change.owner):
            for name, kind in self.effects.created.get(field.field, {}).items():
                labels = labels_in(name, pattern) if kind == resource_type else None
                if labels is not None and (not labels or is_about(field, labels)):
                    return True
        return False

    def restores_deployed_inputs(self, change: Change) -> bool:
        """Tell whether an update only returns a resource to the inputs that are deployed, as after drift."""
        inputs = self.state.get(change.urn, {}).get("inputs")
        return inputs is not None and canonical(inputs) == canonical(
            self.planned.get(change.urn, {}).get("inputs") or {}
        )

    def is_expected_replacement(
        self, change: Change, by_urn: Mapping[str, list[Change]], accepted: set[Change]
    ) -> bool:
        """Tell whether a resource is replaced only because of properties whose changes are expected."""
        if change.property or change.operation != REPLACE:
            return False
        others = [other for other in by_urn[change.urn] if other != change]
        return bool(others) and all(other in accepted for other in others)

    def is_caused_by(self, change: Change, recreated: set[str]) -> bool:
        """Tell whether a property is unknown only because a resource that it used before is created again."""
        if not change.property or parse(change.new) != UNKNOWN_TEXT:
            return False
        top = top_property(change.property)
        before, after = (
            set((state.get("propertyDependencies") or {}).get(top) or ())
            for state in (self.state.get(change.urn, {}), self.planned.get(change.urn, {}))
        )
        # A field that may change the property may also make it use resources that are new.
        allowed = before | recreated if any(self.candidates(change)) else before
        return bool(after & recreated) and after <= allowed

    def is_output_of_dependency(self, change: Change, value: Any) -> bool:
        """Tell whether a value is unknown, or an output of a resource that the property used before."""
        if value == UNKNOWN_TEXT:
            return True
        top = top_property(change.property)
        urns = (self.state.get(change.urn, {}).get("propertyDependencies") or {}).get(top) or ()
        return any(str(value) in map(str, (self.state.get(urn, {}).get("outputs") or {}).values()) for urn in urns)

    # --- new services

    def is_part_of_new_service(self, change: Change) -> bool:
        """Tell whether a change creates what a new service of its kind has, and nothing else."""
        if change.property.startswith(OPTION):
            return change.operation == CREATE and change.property in OPTIONS_OF_CREATIONS
        spec = self.specs.get(change.owner)
        if spec is None or change.operation == DELETE:
            return False
        pattern = name_pattern(name_of(change.urn), change.owner)
        kind = kind_of(spec)
        planned = self.planned.get(change.urn, {})
        return any(
            template.type == type_of(change.urn)
            and template.belongs_to(kind)
            and self.has_parent(template, planned, change.owner)
            and self.matches(template, planned, change.owner, pattern)
            for name, templates in self.effects.services.items()
            if matches_name(name, pattern)
            for template in templates
        )

    def has_parent(self, template: Template, planned: Mapping[str, Any], owner: str) -> bool:
        """Tell whether a resource is below the resource that its template names."""
        parent = planned.get("parent", "")
        if not template.parent:
            return type_of(parent) == "pulumi:pulumi:Stack"
        return name_pattern(name_of(parent), owner) == template.parent

    def matches(self, template: Template, planned: Mapping[str, Any], owner: str, pattern: str) -> bool:
        """Tell whether a new resource's inputs are those of its template."""
        inputs = planned.get("inputs") or {}
        automatic = set(inputs.get("__defaults") or ())
        actual = {
            path: value
            for path, value in flatten(
                canonical({k: v for k, v in inputs.items() if k not in automatic and k != "tagsAll"})
            )
            if value is not None
        }
        dependencies = planned.get("propertyDependencies") or {}
        unknown = {path for path, value in actual.items() if value == UNKNOWN_TEXT}
        for path, value in actual.items():
            expected = template.inputs.get(path, REFERENCE if self.is_whole_reference(template, path) else MISSING)
            if path in unknown or expected == REFERENCE:
                if not self.is_allowed_reference(template, path, value, dependencies, owner):
                    return False
            elif not self.is_allowed_value(expected, value, path, owner, pattern):
                return False
        covered = {path for path in template.inputs if path in actual or any(is_inside(path, top) for top in unknown)}
        missing = set(template.inputs) - covered
        return all(self.may_be_missing(pattern, path) for path in missing)

    @staticmethod
    def is_whole_reference(template: Template, path: str) -> bool:
        """Tell whether a list or object consists of references only.

        A template has no path inside it. A new resource has, if a killed update has created what it refers to.
        """
        top = top_property(path)
        return top in template.references and not any(is_inside(known, top) for known in template.inputs)

    def may_be_missing(self, pattern: str, path: str) -> bool:
        """Tell whether a field decides that a new resource has a property, or how long the list is that it is in."""
        paths = {path, re.sub(r"\[\d+\]$", "[-]", path)}
        return any(True for name in paths for _ in self.effects.on_property(pattern, name))

    def is_allowed_reference(
        self, template: Template, path: str, value: Any, dependencies: Mapping[str, Sequence[str]], owner: str
    ) -> bool:
        """Tell whether a value uses the outputs of the resources that the template names, and of no others."""
        top = top_property(path)
        urns = dependencies.get(top) or ()
        names = {name_pattern(name_of(urn), owner) for urn in urns}
        allowed = template.references.get(top) or ()
        if not names or not all(any(matches_name(pattern, name) for pattern in allowed) for name in names):
            return False
        if value == UNKNOWN_TEXT:
            return True
        outputs = {output for urn in urns for output in self.outputs_of(urn)}
        return any(output in str(value) for output in outputs)

    def outputs_of(self, urn: str) -> Iterator[str]:
        """Yield what other resources can use of a resource: its id, its outputs, and its planned inputs."""
        state, planned = self.state.get(urn, {}), self.planned.get(urn, {})
        values = [state.get("id"), *(state.get("outputs") or {}).values(), *(planned.get("inputs") or {}).values()]
        for value in values:
            if isinstance(value, str | int | float) and len(str(value)) >= SHORTEST_REFERENCE:
                yield str(value)

    def is_allowed_value(self, expected: Any, value: Any, path: str, owner: str, pattern: str) -> bool:
        """Tell whether a value is the template's, or follows from a field of the service or of the environment."""
        if any(same(value, text) for text in self.alternatives(expected, owner)):
            return True
        return any(
            effect.relation in {"derived", "multiple", "opposite"} or self.has_value(effect, value, path, owner)
            for effect in self.effects.on_property(pattern, path)
        )

    def has_value(self, effect: Effect, value: Any, path: str, owner: str) -> bool:
        """Tell whether a field has a value now."""
        if effect.relation != "equal":
            return False
        block = with_defaults(services_of(self.config).get(owner) or {})
        environment = environment_with_defaults(self.config)
        for field, key, current in [*fields_of(block), *fields_of(environment), *spec_fields(self.specs[owner])]:
            if field == effect.field and same(value, current) and (not key or path.endswith(key)):
                return True
        return False

    def alternatives(self, expected: Any, owner: str) -> list[Any]:
        """Return what a template's value stands for: for each allowed range and each port of the service."""
        if not isinstance(expected, str) or expected == MISSING:
            return [expected]
        texts = [self.fill(expected, owner)]
        environment = environment_with_defaults(self.config)[ENVIRONMENT_PREFIX]
        ranges = (environment.get("access") or {}).get("allow") or ()
        ports = getattr(self.specs[owner].balancer, "ports", ())
        for placeholder, values in {"{range}": ranges, "{port}": ports}.items():
            if placeholder in expected:
                texts = [text.replace(placeholder, str(value)) for text in texts for value in values]
        return texts

    def fill(self, text: str, owner: str) -> str:
        """Return a template's text with this environment's and this service's names."""
        environment, spec = self.config.get(ENVIRONMENT_KEY) or {}, self.specs[owner]
        domain = str(environment.get("domain", ""))
        image = str(((services_of(self.config).get(owner) or {}).get("release") or {}).get("image", ""))
        for placeholder, value in {
            SERVICE: owner,
            SERVICE_IDENTIFIER: owner.replace("-", "_"),
            "{environment}": self.deployed.stack,
            "{account}": str(account_of(self.config)),
            "{domain}": domain,
            "{repository}": str((environment.get("operations") or {}).get("github_repository", "")),
            "{image}": image,
            "{registry}": image.split("/", maxsplit=1)[0],
            "{host}": spec.host_in(domain),
            "{cdn_host}": f"{spec.cdn.host}.{domain}" if spec.cdn else "",
            "{path}": str(getattr(spec.balancer, "path", None) or ""),
        }.items():
            text = text.replace(placeholder, value)
        return text


def top_property(path: str) -> str:
    """Return the property that a path is a part of."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def account_of(config: Mapping[str, Any]) -> str:
    """Return the account that a configuration allows."""
    accounts = config.get(ACCOUNTS_KEY)
    if isinstance(accounts, str):
        accounts = json.loads(accounts)
    return str(accounts[0]) if accounts else ""


def spec_fields(spec: ServiceSpec) -> Iterator[tuple[str, str, Any]]:
    """Yield the fields of a service spec, as effects name them."""
    for name in ("host", "port", "health_path"):
        yield f"spec.{name}", "", getattr(spec, name)
    for name in ("priority", "path", "deregistration_delay_seconds"):
        if hasattr(spec.balancer, name):
            yield f"spec.{name}", "", getattr(spec.balancer, name)


def is_about(field: FieldChange, labels: Iterable[str]) -> bool:
    """Tell whether one of the labels in a resource's name stands for an entry that a list or map gets or loses."""
    entries = {field.key} if field.key else entries_that_differ(field)
    if entries is None:
        return True  # a field with one value; its resources have one for each entry of another field
    # A label is the entry in lower case with - for everything else; of a zone, it is the last letter.
    known = {form for entry in entries for form in (re.sub(r"[^a-z0-9]", "-", entry.lower()), entry[-1:])}
    known |= {EVERYWHERE[entry] for entry in entries if entry in EVERYWHERE}
    return any(label.strip("-") in known for label in labels)


def entries_that_differ(field: FieldChange) -> set[str] | None:
    """Return the entries that a list gets or loses; None if the field is no list."""
    values = [value for value in (field.new, *field.olds) if value is not None]
    if not all(isinstance(value, list) for value in values):
        return None
    new = set(map(str, field.new or ()))
    return {entry for old in field.olds for entry in new ^ set(map(str, old or ()))}


def is_inside(path: str, top: str) -> bool:
    """Tell whether a path is a part of another one."""
    return path == top or path.startswith((f"{top}.", f"{top}["))


def parse(text: str) -> Any:
    """Return the value that a change keeps as text."""
    return json.loads(text) if text else MISSING


def same(value: Any, other: Any) -> bool:
    """Tell whether two scalars are equal, whether or not one of them is written as text."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other or str(value).lower() == str(other).lower()
    return bool(value == other) or str(value) == str(other)


def is_multiple(old: Any, new: Any, field: FieldChange) -> bool:
    """Tell whether a property changes in proportion to a field."""
    numbers = (old, new, field.new)
    if not all(isinstance(value, int | float) for value in numbers):
        return False
    return any(isinstance(before, int | float) and abs(old * field.new - new * before) < 1 for before in field.olds)


@functools.cache
def key_pattern(pattern: str) -> Any:
    """Return the regular expression that finds a map's key in a path."""
    return re.compile(re.escape(pattern).replace(re.escape(ANY_KEY), r"(?P<key>[^.\[]+)"))


def key_of(effect: Effect, change: Change) -> str:
    """Return the key of a map that a change's path names."""
    match = key_pattern(effect.property).fullmatch(change.property)
    return match["key"] if match else ""
