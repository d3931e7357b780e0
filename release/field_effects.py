"""What each field of an environment file may change, as reviewed data: release/field_effects.json.

The data is derived from the program under Pulumi's mocks (tests/unit/derive_field_effects.py): change a field, see what
changes. A test keeps it true, and a change of it is reviewed like code. This module reads it.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings.service_spec import (
    DedicatedNetworkLoadBalancer,
    ServiceSpec,
    SharedLoadBalancerRule,
)

DATA_FILE = Path(__file__).parent / "field_effects.json"
SERVICE = "{service}"  # stands for a service's name, in names of resources and in values
SERVICE_IDENTIFIER = "{service_identifier}"  # the same with _ instead of -, as in a database's name
REFERENCE = "(reference)"  # stands for the output of another resource
ITEM = "{item}"  # stands for one entry of a list or map, such as a zone or an address
ANY_KEY = "*"  # stands for a key that users choose, such as the name of an environment variable
ALL_KINDS = "*"
INDEX = re.compile(r"\[\d+\]")
# How the new value of a property follows from the new value of a field.
RELATIONS = {
    "equal": "the property has the field's value",
    "opposite": "the property is true if the field is false, and the other way round",
    "text": "the property's text contains the field's value; the rest of the text stays the same",
    "multiple": "the property is a fixed multiple of the field",
    "computed": "AWS decides the value, so it is only known after the update",
    "derived": "the program derives the value in a way that the gate does not check",
}


@dataclass(frozen=True)
class Effect:
    """One property that a field may change.

    Attributes:
        field: The field, such as `release.version` or `environment.access.allow`.
        resource: The pattern of the resource's name.
        property: The pattern of the property's path.
        relation: How the property's value follows from the field's: a key of RELATIONS.
    """

    field: str
    resource: str
    property: str
    relation: str


@dataclass(frozen=True)
class Template:
    """What a resource of a new service looks like.

    Attributes:
        type: Its type.
        parent: The pattern of its parent's name; empty for the service's root component.
        references: By property: the patterns of the resources whose outputs it uses.
        inputs: By path: the value, with placeholders.
        kinds: The kinds of services that have it, or ALL_KINDS.
    """

    type: str
    parent: str
    references: Mapping[str, Sequence[str]]
    inputs: Mapping[str, Any]
    kinds: Sequence[str] | str

    def belongs_to(self, kind: str) -> bool:
        """Tell whether services of a kind have this resource."""
        return self.kinds == ALL_KINDS or kind in self.kinds


@dataclass(frozen=True)
class FieldEffects:
    """The data, indexed for look-ups."""

    effects: tuple[Effect, ...]
    created: Mapping[str, Mapping[str, str]]  # by field: the pattern of the name -> the type
    services: Mapping[str, tuple[Template, ...]]  # by the pattern of the name

    def on_property(self, resource: str, path: str) -> Iterator[Effect]:
        """Yield the effects on a property. resource: the pattern of its resource's name."""
        plain = general_path(path)
        for pattern, effects in self._by_resource.items():
            if matches_name(pattern, resource):
                yield from (effect for effect in effects if matches_path(effect.property, plain))

    @functools.cached_property
    def _by_resource(self) -> dict[str, list[Effect]]:
        index: dict[str, list[Effect]] = {}
        for effect in self.effects:
            index.setdefault(effect.resource, []).append(effect)
        return index


def general_path(path: str) -> str:
    """Return a property's path without positions in lists. `tagsAll` is what a provider makes of `tags`."""
    return re.sub(r"^tagsAll\b", "tags", INDEX.sub("[]", path))


def matches_path(pattern: str, path: str) -> bool:
    """Tell whether a pattern describes a path. `*` stands for one key."""
    expression = re.escape(pattern).replace(re.escape(ANY_KEY), r"[^.\[]+")
    return re.fullmatch(expression, path) is not None


def matches_name(pattern: str, name: str) -> bool:
    """Tell whether a pattern describes the pattern of a name. `{item}` stands for the label of a list's entry."""
    return labels_in(pattern, name) is not None


def labels_in(pattern: str, name: str) -> tuple[str, ...] | None:
    """Return what `{item}` stands for in a name; None if the pattern does not describe the name."""
    match = name_expression(pattern).fullmatch(name)
    return match.groups() if match else None


@functools.cache
def name_expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a pattern of a name."""
    return re.compile(re.escape(pattern).replace(re.escape(ITEM), r"([a-z0-9-]+)"))


def name_pattern(name: str, owner: str) -> str:
    """Return a resource's name with its service's name replaced by a placeholder."""
    if name == owner or name.startswith(f"{owner}-"):
        return SERVICE + name.removeprefix(owner)
    return name


def kind_of(spec: ServiceSpec) -> str:
    """Return the kind of a service, such as `shared+database+cdn-read`: what decides which resources it has."""
    balancers = {SharedLoadBalancerRule: "shared", DedicatedNetworkLoadBalancer: "network"}
    has_tls = isinstance(spec.balancer, DedicatedNetworkLoadBalancer) and spec.balancer.tls_ports
    parts = [balancers.get(type(spec.balancer), "dedicated") + ("-tls" if has_tls else "")]
    parts += ["database"] if spec.has_database else []
    parts += [f"cdn-{spec.cdn.server_access}"] if spec.cdn else []
    parts += ["mail"] if spec.sends_mail else []
    return "+".join(parts)


@functools.cache
def load() -> FieldEffects:
    """Return the data."""
    return parse(json.loads(DATA_FILE.read_text(encoding="utf-8")))


def parse(document: Mapping[str, Any]) -> FieldEffects:
    """Return the data in a document."""
    effects = [
        Effect(field, resource, path, relation)
        for field, resources in document["fields"].items()
        for resource, properties in resources.items()
        for path, relation in properties.items()
    ]
    services = {
        pattern: tuple(Template(**variant) for variant in variants)
        for pattern, variants in document["services"].items()
    }
    return FieldEffects(tuple(effects), document["created"], services)
