"""Matches Terraform's names of properties with Pulumi's.

Names match if they are equal, if one is the plural of the other, or if they are listed below; there is no guessing. A
property without a match is counted, and a program that uses it is refused. Schema messages and types are JSON-like,
hence `Any`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.bridge.blocks import Nesting, Spec, camel_case

# Names that pulumi-aws sets by hand: (Terraform type, or * for all types; attribute) -> Pulumi's name.
RENAMES = {
    ("*", "rest_api_id"): "restApi",
    ("aws_lambda_function", "filename"): "code",
    ("aws_lambda_layer_version", "filename"): "code",
    ("aws_lambda_function", "function_name"): "name",
    ("aws_lambda_permission", "function_name"): "function",
    ("aws_cloudwatch_metric_alarm", "alarm_name"): "name",
    ("aws_sns_topic_subscription", "topic_arn"): "topic",
    ("aws_cloudwatch_log_subscription_filter", "log_group_name"): "logGroup",
    ("aws_api_gateway_stage", "deployment_id"): "deployment",
    ("aws_api_gateway_base_path_mapping", "api_id"): "restApi",
    ("aws_elastic_beanstalk_environment", "version_label"): "version",
}


class Member(NamedTuple):
    """A member of a block or object type.

    Attributes:
        is_list: Whether it is a list or set.
        nested: The nested block or object type in it; None for a scalar.
    """

    is_list: bool
    nested: Any


def spellings(name: str) -> list[str]:
    """Return how Pulumi may spell a Terraform name: in camel case first, then its plurals and singulars."""
    base = camel_case(name)
    result = [base, f"{base}s", f"{base}es"]
    if base.endswith("y"):
        result.append(base[:-1] + "ies")
    if base.endswith("ies"):
        result.append(base[:-3] + "y")
    if base.endswith("es"):
        result.append(base[:-2])
    if base.endswith("s"):
        result.append(base[:-1])
    if base.endswith(("x", "us", "is")):
        result.append(base[:-2] + ("ices" if base.endswith("ix") else "es"))
    return result


def member_of_type(kind: Any) -> Member:
    """Return a member of a Terraform type such as `["list", ["object", {...}]]`."""
    is_list = isinstance(kind, list) and kind[0] in {"list", "set"}
    element = kind[1] if is_list else kind
    return Member(is_list, element[1] if isinstance(element, list) and element[0] == "object" else None)


def members_of(block: Any) -> dict[str, Member]:
    """Return the members of a block by name."""
    members = {attribute.name: member_of_type(json.loads(attribute.type)) for attribute in block.attributes}
    for nested in block.block_types:
        members[nested.type_name] = Member(nested.nesting in {Nesting.LIST, Nesting.SET}, nested.block)
    return members


@dataclass
class Counts:
    """How many properties match, and which do not: (Terraform type, path)."""

    properties: int = 0
    unmatched_terraform: list[tuple[str, str]] = field(default_factory=list)
    unmatched_pulumi: list[tuple[str, str]] = field(default_factory=list)


class PropertyMatcher:
    """Matches the properties of all types and counts them.

    Attributes:
        classes: The classes of pulumi_aws that describe nested properties, as sdk_scan returns them.
        counts: What was matched so far.
    """

    def __init__(self, classes: Mapping[str, Any]) -> None:
        """Start with empty counts."""
        self.classes, self.counts = classes, Counts()

    def match(self, members: Mapping[str, Member], properties: Mapping[str, Any], owner: str, path: str = "") -> Spec:
        """Return the spec of a block or object type, see blocks.Spec.

        members: Terraform's side. properties: Pulumi's side, name -> type. owner: the Terraform type that they belong
        to. path: where in it they are, with a dot at the end.
        """
        names = self.match_names(members, properties, owner, path)
        spec: Spec = {}
        for name, key in names.items():
            spec[name] = self.member_spec(members[name], key, properties[key], owner, f"{path}{name}.")
        matched = set(names.values())
        self.counts.unmatched_pulumi += [(owner, path + key) for key in properties if key not in matched]
        self.counts.properties += len(spec)
        return spec

    def match_names(
        self, members: Mapping[str, Member], properties: Mapping[str, Any], owner: str, path: str
    ) -> dict[str, str]:
        """Return Terraform's name -> Pulumi's name of each match. Exact matches take precedence over plurals."""
        names: dict[str, str] = {}
        unmatched = dict.fromkeys(properties)
        for is_exact in (True, False):
            for name in members:
                renamed = RENAMES.get((owner, path + name)) or RENAMES.get(("*", name))
                possible = [renamed] if renamed else spellings(name)[:1] if is_exact else spellings(name)
                key = next((spelling for spelling in possible if spelling in unmatched), None)
                if name not in names and key is not None:
                    names[name] = key
                    del unmatched[key]
        # Acronyms: certificate_chain_url is certificateChainURL in some types.
        by_lower_case = {key.lower(): key for key in unmatched}
        for name in [name for name in members if name not in names]:
            possible = [spelling.lower() for spelling in spellings(name)]
            key = next((by_lower_case.pop(spelling) for spelling in possible if spelling in by_lower_case), None)
            if key is None:
                self.counts.unmatched_terraform.append((owner, path + name))
            else:
                names[name] = key
        return names

    def member_spec(self, member: Member, key: str, kind: Any, owner: str, path: str) -> list[Any]:
        """Return [Pulumi's name, whether Pulumi flattened it, the spec of its own members or None] of one member."""
        is_list = isinstance(kind, list) and kind[0] == "list"
        element = kind[1] if is_list else kind
        spec = None
        if member.nested is not None and isinstance(element, list) and element[0] == "obj":
            members = (
                {name: member_of_type(kind) for name, kind in member.nested.items()}
                if isinstance(member.nested, dict)
                else members_of(member.nested)
            )
            spec = self.match(members, self.class_properties(element[1]), owner, path)
        return [key, member.is_list and not is_list and kind != "any", spec]

    def class_properties(self, class_name: str) -> dict[str, Any]:
        """Return the properties of a class, name -> type, together with those of its input and output variants."""
        base = re.sub(r"(Args|Result)$", "", class_name)
        properties: dict[str, Any] = {}
        for variant in (f"{base}Result", base, f"{base}Args"):
            for key, (_, kind) in self.classes.get(variant, {}).items():
                properties.setdefault(key, kind)
        return properties
