"""Derives release/field_effects.json from the program: change a field of the environment file, see what changes.

The program runs under Pulumi's mocks with services that have every feature. Every field has samples: values that it can
change to. A new field needs a sample, and a test says so. Each sample of a service's field gets its own copies of the
services, so that one run derives the effects of all of them.
"""

import copy
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pulumi.runtime.mocks import MockResourceArgs

from components.service_environment import ServiceEnvironment, ServiceEnvironmentArgs
from foundation.environment import Foundation
from mocks.aws import COMPUTED, AwsMocks, Run, run
from release.changes import canonical, differences, flatten
from release.field_effects import ITEM, REFERENCE, SERVICE, SERVICE_IDENTIFIER, general_path, name_pattern
from release.stack_state import FOUNDATION, owner_of
from settings.models import Settings
from settings.service_spec import (
    Cdn,
    DedicatedLoadBalancer,
    DedicatedNetworkLoadBalancer,
    ServiceSpec,
    SharedLoadBalancerRule,
)

PORTS = (2599, 2598)  # of a network load balancer; they occur in no other number or text
RANGES = ("198.51.100.0/24", "2001:db8::/32")  # from which clients connect
COMPUTED_PORT = 5432  # the only number that AWS returns
TEMPLATE, EMAIL_IDENTITY = "aws:ec2/launchTemplate:LaunchTemplate", "aws:sesv2/emailIdentity:EmailIdentity"
DKIM_TOKENS = ("first-token", "second-token", "third-token")  # those of COMPUTED occur in other words
REGISTRY = "111111111111.dkr.ecr.us-east-1.amazonaws.com"
LoadBalancer = SharedLoadBalancerRule | DedicatedNetworkLoadBalancer | DedicatedLoadBalancer
LOAD_BALANCERS: dict[str, LoadBalancer] = {
    "shared": SharedLoadBalancerRule(priority=41),
    "network": DedicatedNetworkLoadBalancer(ports=(PORTS[0],)),
    "network-tls": DedicatedNetworkLoadBalancer(ports=PORTS, tls_ports=(PORTS[0],)),
    "dedicated": DedicatedLoadBalancer(deregistration_delay_seconds=43),
}


def spec_of_kind(kind: str) -> ServiceSpec:
    """Return a service of a kind such as `shared+database+cdn-read`. Its name and hosts occur in no other text."""
    features = kind.split("+")
    access = next((feature.removeprefix("cdn-") for feature in features if feature.startswith("cdn-")), None)
    name = "zq-" + "".join(feature[0] for feature in features) + ("w" if access == "read and write" else "")
    return ServiceSpec(
        name=name,
        host="zqhost",
        balancer=LOAD_BALANCERS[features[0]],
        redirects=(),
        has_database="database" in features,
        cdn=Cdn(host="zqcdn", server_access="read and write" if access != "read" else "read") if access else None,
        sends_mail="mail" in features,
    )


KINDS = tuple(
    "+".join([balancer, *database, *cdn, *mail])
    for balancer in LOAD_BALANCERS
    for database in ([], ["database"])
    for cdn in ([], ["cdn-read"], ["cdn-read and write"])
    for mail in ([], ["mail"])
)
# The kinds with which the effects of fields are derived; together they have every feature.
SPECS = {
    spec.name: spec
    for spec in map(spec_of_kind, ("shared+database+cdn-read and write", "network-tls+database+mail", "dedicated"))
}
FIRST = next(iter(SPECS))
RELEASE = {
    "version": "91.1.1",
    "image": f"{REGISTRY}/qimage@sha256:{'1' * 64}",
    "machine_image": "ami-11111111111111111",
    "database_engine": "16.81",
    "environment_variables": {"QKEPT": "qkept"},
    "websocket": {"ping_interval_seconds": 21, "idle_timeout_seconds": 121},
}
DATABASE = {
    "class": "db.r6g.large",
    "storage_gb": 51,
    "maximum_storage_gb": 1001,
    "multi_az": False,
}
SIZING = {
    "instance_type": "m7g.large",
    "instances": {"minimum": 3, "maximum": 17},
    "disk_gb": 37,
    "database": DATABASE,
}
ENVIRONMENT = {
    "domain": "q.example.com",
    "network": {
        "cidr": "10.99.0.0/16",
        "zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
        "nat": "single",
        "interface_endpoints": ["ssm"],
    },
    "access": {"allow": ["198.51.100.0/24"]},
    "durability": {"backup_days": 13, "protect_data": False},
    "dns": {
        "delegations": {"qlabel": ["ns1.example.net", "ns2.example.net"]},
        "records": {"qlabel": {"host": "qhost", "type": "TXT", "values": ["qtext"], "ttl_seconds": 61}},
    },
    "operations": {"alarm_emails": ["q@example.com"], "github_repository": "q/q", "log_days": 30},
}
# The values that each field changes to. A list or map gets one more entry, whose label is ITEM's.
SERVICE_SAMPLES: dict[str, list[Any]] = {
    "release.version": ["92.2.2"],
    "release.image": [f"{REGISTRY}/qimage@sha256:{'2' * 64}"],
    "release.machine_image": ["ami-22222222222222222"],
    "release.architecture": ["x86_64"],
    "release.database_engine": ["16.82", "17.81"],
    "release.environment_variables.*": ["qnew"],
    "release.websocket.ping_interval_seconds": [22],
    "release.websocket.idle_timeout_seconds": [122],
    "sizing.instance_type": ["m7g.xlarge"],
    "sizing.instances.minimum": [4],
    "sizing.instances.maximum": [18],
    "sizing.disk_gb": [38],
    "sizing.deploy_despite_alarms": [True],
    "sizing.database.class": ["db.r6g.xlarge"],
    "sizing.database.storage_gb": [52],
    "sizing.database.maximum_storage_gb": [1002, None],
    "sizing.database.multi_az": [True],
    "sizing.database.allow_major_upgrade": [True],
    "sizing.database.restore": [{"snapshot": "qsnapshot"}],
    "sizing.database.restore_to_time": [{"instance": "qinstance", "time": "2026-11-23T18:00:00Z"}],
}
ENVIRONMENT_SAMPLES: dict[str, list[Any]] = {
    "environment.domain": ["z.example.com"],
    "environment.network.cidr": ["10.98.0.0/16"],
    "environment.network.zones": [["us-east-1a", "us-east-1b"]],
    "environment.network.nat": ["per_zone"],
    "environment.network.interface_endpoints": [["ssm", "ecr.api"], []],
    "environment.access.allow": [["198.51.100.0/24", "203.0.113.0/24"], ["198.51.100.0/24", "2001:db8::/32"]],
    "environment.durability.backup_days": [14],
    "environment.durability.recovery_point_minutes": [61],
    "environment.durability.recovery_time_minutes": [241],
    "environment.durability.protect_data": [True],
    "environment.dns.delegations.*": [{"qlabel": ["ns3.example.net", "ns4.example.net"]}, {}],
    "environment.dns.records.*": [
        {"qlabel": {"host": "qother", "type": "MX", "values": ["7 qmail.example.com", "8 q.example.com"]}},
        {
            "qlabel": {"type": "MX", "values": ["7 qmail.example.com"]},
            "qmore": {"type": "TXT", "values": ["v=spf1 include:example.com -all"]},
            "qmost": {"host": "_dmarc", "type": "CNAME", "values": ["dmarc.example.com"]},
        },
        {},
    ],
    "environment.operations.alarm_emails": [["q@example.com", "qmore@example.com"]],
    "environment.operations.github_repository": ["q/other", None],
    "environment.operations.log_days": [60],
}
# What stands for an entry of a list or map in the names of resources.
LABELS = (
    "198-51-100-0-24",
    "203-0-113-0-24",
    "2001-db8---32",
    "qlabel",
    "qmore-example-com",
    "qmore",
    "qmost",
    "q-example-com",
    "ecr-api",
    "ssm",
    "zqwww",
)


COPY = re.compile(r"(?P<service>zq[-_][a-z]+)[-_]\d{3}(?![0-9a-z])")  # the name of a copy of a service
VERSIONS: set[str] = set()  # of launch templates, as groups name them


class EffectMocks(AwsMocks):
    """Mocks whose launch templates get a new version whenever their content changes, as in AWS."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return a resource's id and outputs."""
        identifier, outputs = super().new_resource(args)
        if args.typ == TEMPLATE:
            content = without_copy_index(json.dumps(canonical(args.inputs), sort_keys=True))
            version = 1_000_000 + zlib.crc32(content.encode()) % 1_000_000
            VERSIONS.add(str(version))
            outputs = outputs | {"latestVersion": version}
        if args.typ == EMAIL_IDENTITY:
            outputs = outputs | {"dkimSigningAttributes": {"tokens": list(DKIM_TOKENS)}}
        return identifier, outputs


def without_copy_index(text: str) -> str:
    """Return a text with the names of copies replaced by the name of their service."""
    return COPY.sub(r"\g<service>", text)


# What one run registered for an owner: canonical inputs and options of each resource, by its name and type.
Snapshot = Mapping[tuple[str, str], Mapping[str, Any]]


def block_for(spec: ServiceSpec) -> dict[str, Any]:
    """Return a service's block in the environment file."""
    block: dict[str, Any] = {"release": copy.deepcopy(RELEASE), "sizing": copy.deepcopy(SIZING)}
    if not spec.has_database:
        del block["release"]["database_engine"], block["sizing"]["database"]
    return block


def register(environment: Mapping[str, Any], blocks: Mapping[str, Any], specs: Mapping[str, ServiceSpec]) -> Run:
    """Run the program with an environment and service blocks."""
    settings = Settings.model_validate(
        {
            "name": "qenv",
            "account_id": "999999999999",
            "region": "us-east-1",
            "environment": environment,
            "services": blocks,
        }
    )

    def program() -> None:
        foundation = Foundation(settings, specs)
        for name, service in settings.enabled_services().items():
            arguments = ServiceEnvironmentArgs(
                spec=specs[name],
                release=service.release,
                sizing=service.sizing,
                foundation=foundation.shared,
            )
            ServiceEnvironment(name, arguments)

    return run(program, stack="qenv", mocks=EffectMocks)


def snapshots(registered: Run) -> dict[str, Snapshot]:
    """Return the resources of each owner in a form that can be compared. Names of copies are those of their service."""
    parents = {urn: resource.parent for urn, resource in registered.resources.items()}
    owners: dict[str, dict[tuple[str, str], dict[str, Any]]] = {FOUNDATION: {}}
    for urn, resource in registered.resources.items():
        text = without_copy_index(json.dumps(canonical(resource.inputs)))
        content = {**json.loads(text), "option:protect": resource.protect}
        key = (without_copy_index(resource.name), resource.type)
        owners.setdefault(owner_of(urn, parents), {})[key] = content
    return dict(owners)


def with_value(tree: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return nested values with one of them replaced; None removes it. A last step `*` adds an entry to a map."""
    changed = copy.deepcopy(dict(tree))
    *parents, last = path.split(".")
    place = changed
    for step in parents:
        place = place.setdefault(step, {})
    if last == "*":
        last = "QNEW"
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return changed


def has_field(block: Mapping[str, Any], field: str) -> bool:
    """Tell whether a service's block can have a field: only a service with a database has its sizing."""
    is_database = field.startswith("sizing.database.") or field == "release.database_engine"
    return not is_database or "database" in block["sizing"]


def relation(field_old: Any, field_new: Any, old: Any, new: Any, path: str) -> str:
    """Return how a property follows from a field, as RELATIONS describes it."""
    if path == "launchTemplate.version":
        return "computed"
    if isinstance(new, bool) and isinstance(field_new, bool):
        return "equal" if new is field_new else "opposite"
    if new == field_new or (isinstance(field_new, str | int) and str(new) == str(field_new)):
        return "equal"
    if (
        isinstance(old, int | float)
        and isinstance(new, int | float)
        and isinstance(field_old, int)
        and isinstance(field_new, int)
        and math.isclose(old * field_new, new * field_old)
    ):
        return "multiple"
    if all(isinstance(value, str) for value in (old, new)) and old.replace(str(field_old), str(field_new)) == new:
        return "text"
    return "derived"


Effects = dict[str, dict[str, dict[str, str]]]
Created = dict[str, dict[str, str]]


@dataclass
class Derivation:
    """The effects and creations that are collected field by field."""

    effects: Effects
    created: Created

    def compare(self, field: str, values: tuple[Any, Any], owner: str, before: Snapshot, after: Snapshot) -> None:
        """Add what differs between two snapshots of an owner, in both directions."""
        for key in sorted({*before, *after}):
            pattern, resource_type = item_pattern(name_pattern(key[0], owner)), key[1]
            if key not in before or key not in after:
                self.created.setdefault(field, {})[pattern] = resource_type
                continue
            for path, old, new in differences(before[key], after[key]):
                how = relation(*values, old, new, path)
                properties = self.effects.setdefault(field, {}).setdefault(pattern, {})
                plain = general_path(path).replace("QNEW", "*")
                properties[plain] = weaker(properties.get(plain, how), how)
                if plain.endswith(("[+]", "[-]")):
                    properties |= {plain[:-3] + sign: "derived" for sign in ("[+]", "[-]")}


def weaker(first: str, second: str) -> str:
    """Return the relation that holds for two samples of one field."""
    return first if first == second else "derived"


def item_pattern(name: str) -> str:
    """Return a name with the label of a list's entry, such as a port or a range, replaced by a placeholder."""
    for label in LABELS:
        name = name.replace(label, ITEM)
    return re.sub(rf"-({PORTS[0]}|{PORTS[1]}|c)(?=-|$)", f"-{ITEM}", name)


def value_at(tree: Mapping[str, Any], path: str) -> Any:
    """Return a nested value, or None."""
    value: Any = tree
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


Services = Mapping[str, tuple[ServiceSpec, Mapping[str, Any]]]  # by name: the spec and the block


@dataclass(frozen=True)
class Comparison:
    """One sample of a field: its values, and the services that have it, before and after the change."""

    field: str
    values: tuple[Any, Any]
    before: Services
    after: Services


BASE: Services = {name: (spec, block_for(spec)) for name, spec in SPECS.items()}


def service_comparisons() -> Iterator[Comparison]:
    """Yield the samples of the fields of a service."""
    for field, samples in SERVICE_SAMPLES.items():
        services = {name: service for name, service in BASE.items() if has_field(service[1], field)}
        for value in samples:
            values = (value_at(BASE[FIRST][1], field), value)
            yield Comparison(field, values, services, with_field(services, field, value))
    # The storage of a database also changes its limit, if that is left to the default.
    field = "sizing.database.storage_gb"
    services = {name: service for name, service in BASE.items() if has_field(service[1], field)}
    services_without_limit = with_field(services, "sizing.database.maximum_storage_gb", None)
    changed = with_field(services_without_limit, field, 52)
    yield Comparison(field, (51, 52), services_without_limit, changed)


def with_field(services: Services, field: str, value: Any) -> Services:
    """Return services with another value of a field."""
    return {name: (spec, with_value(block, field, value)) for name, (spec, block) in services.items()}


def copy_effects(derivation: Derivation, comparisons: Sequence[Comparison], foundation: Snapshot) -> None:
    """Collect what the services of comparisons change, in one run with copies of all of them.

    foundation: what any run registers for the foundation. No field of a service may change it.
    """
    variants: list[tuple[str, ServiceSpec, Mapping[str, Any]]] = []
    for comparison in comparisons:
        for services in (comparison.before, comparison.after):
            every = [(name, spec, block) for name, (spec, block) in services.items()]
            variants += [variant for variant in every if variant not in variants]
    copies = {f"{name}-{index:03}": (spec, block) for index, (name, spec, block) in enumerate(variants)}
    specs = {name: replace(spec, name=name) for name, (spec, _) in copies.items()}
    blocks = {name: block for name, (_, block) in copies.items()}
    by_owner = snapshots(register(ENVIRONMENT, blocks, specs))
    assert by_owner[FOUNDATION] == foundation, "a field of a service changes the foundation"
    for comparison in comparisons:
        for name in comparison.after:
            before, after = (
                by_owner[f"{name}-{variants.index((name, *services[name])):03}"]
                for services in (comparison.before, comparison.after)
            )
            derivation.compare(comparison.field, comparison.values, name, before, after)


SPEC_SAMPLES: dict[str, list[dict[str, Any]]] = {
    "spec.host": [{"host": "zqother"}],
    "spec.port": [{"port": 8099}],
    "spec.health_path": [{"health_path": "/zq"}],
    "spec.owns_host": [{"owns_host": False}],
    "spec.redirects": [{"redirects": ("zqwww",)}],
    "spec.cdn": [{"cdn": Cdn(host="zqcdn2", server_access="read and write")}],
}
BALANCER_SAMPLES: dict[str, list[Any]] = {
    "spec.priority": [SharedLoadBalancerRule(priority=42)],
    "spec.path": [SharedLoadBalancerRule(priority=41, path="/zq")],
    "spec.deregistration_delay_seconds": [DedicatedLoadBalancer(deregistration_delay_seconds=44)],
    "spec.ports": [DedicatedNetworkLoadBalancer(ports=PORTS)],
}


def spec_comparisons() -> Iterator[Comparison]:
    """Yield the samples of a service spec. It is code, so they only serve to recognize what a new service creates."""
    for field, samples in SPEC_SAMPLES.items():
        for sample in samples:
            (name, new), *_ = sample.items()
            services = {key: service for key, service in BASE.items() if name != "cdn" or service[0].cdn}
            changed = {key: (replace(spec, **sample), block) for key, (spec, block) in services.items()}
            yield Comparison(field, (getattr(SPECS[FIRST], name), new), services, changed)
    for field, balancers in BALANCER_SAMPLES.items():
        name = field.removeprefix("spec.")
        for balancer in balancers:
            services = {key: service for key, service in BASE.items() if type(service[0].balancer) is type(balancer)}
            changed = {key: (replace(spec, balancer=balancer), block) for key, (spec, block) in services.items()}
            old = next(getattr(spec.balancer, name) for spec, _ in services.values())
            yield Comparison(field, (old, getattr(balancer, name)), services, changed)


def environment_effects(derivation: Derivation, base: Mapping[str, Snapshot]) -> None:
    """Collect what the fields of an environment change, in the foundation and in services."""
    blocks = {name: block for name, (_, block) in BASE.items()}
    per_zone = with_value(ENVIRONMENT, "network.nat", "per_zone")
    field, (zones,) = "environment.network.zones", ENVIRONMENT_SAMPLES["environment.network.zones"]
    fewer_zones = with_value(per_zone, "network.zones", zones)
    before, after = (snapshots(register(environment, {}, {}))[FOUNDATION] for environment in (per_zone, fewer_zones))
    derivation.compare(field, (value_at(per_zone, "network.zones"), zones), FOUNDATION, before, after)
    for field, samples in ENVIRONMENT_SAMPLES.items():
        path = field.removeprefix("environment.").removesuffix(".*")
        for value in samples:
            changed = snapshots(register(with_value(ENVIRONMENT, path, value), blocks, SPECS))
            for owner, resources in changed.items():
                derivation.compare(field, (value_at(ENVIRONMENT, path), value), owner, base[owner], resources)


# --- what a new service creates

REFERENCE_MARKS = ("-id", "arn:aws:::", "-1a2b3c4")
PLACEHOLDERS = {
    "zqhost.q.example.com": "{host}",
    "zqcdn.q.example.com": "{cdn_host}",
    "/zqpath": "{path}",
    **dict.fromkeys(RANGES, "{range}"),
    str(PORTS[0]): "{port}",
    str(RELEASE["image"]): "{image}",
    REGISTRY: "{registry}",
    "qenv": "{environment}",
    "999999999999": "{account}",
    "q.example.com": "{domain}",
    "q/q": "{repository}",
}


def templates() -> dict[str, list[dict[str, Any]]]:
    """Return what an enabled service of each kind creates: by the name's pattern, each variant with its kinds."""
    variants: dict[str, dict[str, dict[str, Any]]] = {}
    environment = with_value(ENVIRONMENT, "durability.protect_data", True)  # noqa: FBT003 the most that there can be
    environment = with_value(environment, "access.allow", list(RANGES))
    for balancer in [*LOAD_BALANCERS.values(), SharedLoadBalancerRule(priority=41, path="/zqpath")]:
        kinds = {spec_of_kind(kind).name: [kind] for kind in KINDS if is_kind_with(balancer, kind)}
        if balancer not in LOAD_BALANCERS.values():  # a path changes nothing that other features change as well
            kinds = {spec_of_kind("shared").name: [kind for kind in KINDS if is_kind_with(balancer, kind)]}
        specs = {name: replace(spec_of_kind(of_name[0]), balancer=balancer) for name, of_name in kinds.items()}
        registered = register(environment, {name: block_for(spec) for name, spec in specs.items()}, specs)
        for name, of_name in kinds.items():
            for urn in registered.below(name):
                variant = template_of(registered, urn, name)
                key = json.dumps(variant, sort_keys=True)
                pattern = item_pattern(name_pattern(registered.resources[urn].name, name))
                entry = variants.setdefault(pattern, {}).setdefault(key, {**variant, "kinds": []})
                if len(of_name) == 1 or not entry["kinds"]:
                    entry["kinds"] = sorted({*entry["kinds"], *of_name})
    return {
        pattern: [with_kinds(variant) for _, variant in sorted(entry.items())]
        for pattern, entry in sorted(variants.items())
    }


def is_kind_with(balancer: LoadBalancer, kind: str) -> bool:
    """Tell whether services of a kind have a load balancer like this one. A rule may also have a path."""
    own = LOAD_BALANCERS[kind.split("+", maxsplit=1)[0]]
    return own == balancer or (isinstance(own, SharedLoadBalancerRule) and isinstance(balancer, SharedLoadBalancerRule))


def with_kinds(variant: dict[str, Any]) -> dict[str, Any]:
    """Return a variant whose kinds are `*` if it is the same for all of them."""
    kinds = sorted(variant["kinds"])
    return {**variant, "kinds": "*" if kinds == sorted(KINDS) else kinds}


def template_of(registered: Run, urn: str, service: str) -> dict[str, Any]:
    """Return a resource as a template: names and references become placeholders."""
    resource = registered.resources[urn]
    references = {
        name: sorted({item_pattern(name_pattern(registered.resources[other].name, service)) for other in others})
        for name, others in sorted(resource.property_dependencies.items())
    }
    parent = registered.resources.get(resource.parent)
    return {
        "type": resource.type,
        "parent": name_pattern(parent.name, service) if parent else "",
        "references": references,
        "inputs": {
            path: template_leaf(value, path.split(".")[0].split("[")[0] in references, service)
            for path, value in flatten(canonical(resource.inputs))
            if value is not None
        },
    }


def template_leaf(value: Any, is_reference: bool, service: str) -> Any:  # noqa: FBT001 a property of the value
    """Return a value with what differs between services and environments replaced."""
    if is_reference and is_output(value):
        return REFERENCE
    if value == PORTS[0]:
        return "{port}"
    if not isinstance(value, str):
        return value
    for text, placeholder in {**PLACEHOLDERS, service: SERVICE, service.replace("-", "_"): SERVICE_IDENTIFIER}.items():
        value = value.replace(text, placeholder)
    return value


COMPUTED_TEXTS = frozenset(DKIM_TOKENS) | {
    value.rstrip(".")  # the program removes the dot at the end of a domain name
    for resource_type, outputs in COMPUTED.items()
    for _, value in flatten(outputs)
    if isinstance(value, str) and resource_type != EMAIL_IDENTITY
}


def is_output(value: Any) -> bool:
    """Tell whether a value comes from the outputs of the mocks."""
    if isinstance(value, str):
        return value in VERSIONS or any(mark in value for mark in (*REFERENCE_MARKS, *COMPUTED_TEXTS))
    return bool(value == COMPUTED_PORT)


Part = dict[str, Any]  # of the content of release/field_effects.json


def base_snapshots() -> dict[str, Snapshot]:
    """Return what the program registers before any field changes."""
    return snapshots(register(ENVIRONMENT, {name: block for name, (_, block) in BASE.items()}, SPECS))


def service_fields() -> Part:
    """Return what the fields of a service, and what its spec says, can change."""
    derivation = Derivation({}, {})
    copy_effects(derivation, [*service_comparisons(), *spec_comparisons()], base_snapshots()[FOUNDATION])
    return {"fields": derivation.effects, "created": derivation.created}


def environment_fields() -> Part:
    """Return what the fields of an environment can change."""
    derivation = Derivation({}, {})
    environment_effects(derivation, base_snapshots())
    return {"fields": derivation.effects, "created": derivation.created}


def new_services() -> Part:
    """Return what a new service of each kind creates."""
    return {"services": templates()}


# Each part is derived by a test of its own, so that they share the machine's processors.
PARTS = {"service fields": service_fields, "environment fields": environment_fields, "new services": new_services}
ENVIRONMENT_PREFIX = "environment."


def part_of(document: Part, part: str) -> Part:
    """Return a part of the file's content."""
    if part == "new services":
        return {"services": document["services"]}
    is_environment = part == "environment fields"
    return {
        section: {
            field: value
            for field, value in document[section].items()
            if field.startswith(ENVIRONMENT_PREFIX) is is_environment
        }
        for section in ("fields", "created")
    }


def with_part(document: Part, part: str, derived: Part) -> Part:
    """Return the file's content with one part replaced."""
    others = [part_of(document, other) for other in PARTS if other != part]
    merged: Part = {"fields": {}, "created": {}, "services": {}}
    for piece in [*others, derived]:
        for section, content in piece.items():
            merged[section] |= content
    return merged
