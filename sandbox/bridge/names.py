"""Joins the table of pulumi_aws (sdk_scan) with Terraform's schema: token <-> type, and Pulumi's name <-> Terraform's.

Names match exactly, or as plural and singular, or as a documented rename; never by guess. What finds no counterpart is
counted, and refused when a program uses it. Schema messages and types are JSON-like, hence `Any`.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.bridge.terraform import pb
from sandbox.bridge.values import camel

# What no rule gives: names that pulumi-aws sets by hand. (Terraform type or "*", attribute) -> Pulumi's name.
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
# Tokens whose type cannot be told from names and properties.
PINNED = {
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": "aws_s3_bucket_replication_configuration",
    "aws:codedeploy/application:Application": "aws_codedeploy_app",
    "aws:costexplorer/costCategory:CostCategory": "aws_ce_cost_category",
    "aws:elb/sslNegotiationPolicy:SslNegotiationPolicy": "aws_lb_ssl_negotiation_policy",
    "aws:amp/workspaceConfiguration:WorkspaceConfiguration": "aws_prometheus_workspace_configuration",
    "aws:directconnect/hostedPrivateVirtualInterfaceAccepter:HostedPrivateVirtualInterfaceAccepter": "aws_dx_hosted_private_virtual_interface_accepter",
    "aws:directconnect/hostedTransitVirtualInterfaceAcceptor:HostedTransitVirtualInterfaceAcceptor": "aws_dx_hosted_transit_virtual_interface_accepter",
    "aws:costexplorer/getCostCategory:getCostCategory": "aws_ce_cost_category",
    "aws:costexplorer/getTags:getTags": "aws_ce_tags",
    "aws:directconnect/getConnection:getConnection": "aws_dx_connection",
    "aws:ec2/getDedicatedHost:getDedicatedHost": "aws_ec2_host",
    "aws:ecs/getService:getService": "aws_ecs_service",
}
UNTELLING = {"region", "id", "tag", "tagsall", "arn", "timeout"}  # properties that most types have
Nesting = pb.Schema.NestedBlock
Member = tuple[bool, Any, bool]  # is a list or set, inner block or object type, computed only


def variants(name: str) -> list[str]:
    """Return Pulumi's spellings of a Terraform name: camelCase first, then its plurals and singulars."""
    base = camel(name)
    out = [base, base + "s", base + "es"]
    if base.endswith("y"):
        out.append(base[:-1] + "ies")
    if base.endswith("ies"):
        out.append(base[:-3] + "y")
    if base.endswith("es"):
        out.append(base[:-2])
    if base.endswith("s"):
        out.append(base[:-1])
    if base.endswith(("x", "us", "is")):
        out.append(base[:-2] + ("ices" if base.endswith("ix") else "es"))
    return out


def element_of(kind: Any) -> tuple[bool, Any]:
    """Return whether a Terraform type is a list or set, and the object type in it."""
    many = isinstance(kind, list) and kind[0] in {"list", "set"}
    element = kind[1] if many else kind
    return many, element[1] if isinstance(element, list) and element[0] == "object" else None


def members_of(block: Any) -> dict[str, Member]:
    """Return the members of a block."""
    out: dict[str, Member] = {}
    for attribute in block.attributes:
        out[attribute.name] = (*element_of(json.loads(attribute.type)), attribute.computed and not attribute.optional)
    for inner in block.block_types:
        out[inner.type_name] = (inner.nesting in {Nesting.LIST, Nesting.SET}, inner.block, False)
    return out


@dataclass
class Counts:
    """How much of the two sides found each other."""

    properties: int = 0
    unmatched_terraform: list[tuple[str, str]] = field(default_factory=list)
    unmatched_pulumi: list[tuple[str, str]] = field(default_factory=list)


class Joiner:
    """Joins one scan of pulumi_aws with one schema."""

    def __init__(self, sdk: dict[str, Any]) -> None:
        """Keep the scan."""
        self.sdk, self.counts = sdk, Counts()

    def object_names(self, kind: Any) -> dict[str, Any]:
        """Return Pulumi's name -> type of an object type, its input and output classes joined."""
        base = re.sub(r"(Args|Result)$", "", kind[1])
        out: dict[str, Any] = {}
        for name in (base + "Result", base, base + "Args"):
            for key, (_, inner) in self.sdk["types"].get(name, {}).items():
                out.setdefault(key, inner)
        return out

    def join(self, terraform: dict[str, Member], pulumi: dict[str, Any], owner: str, path: str = "") -> dict[str, Any]:
        """Return the spec of a block or object (see values.Fields)."""
        spec: dict[str, Any] = {}
        used: set[str] = set()

        def match(name: str, key: str) -> None:
            used.add(key)
            spec[name] = self.member(terraform[name], key, pulumi[key], owner, f"{path}{name}.")

        for exact in (True, False):
            for name in terraform:
                renamed = RENAMES.get((owner, path + name)) or RENAMES.get(("*", name))
                spellings = [renamed] if renamed else variants(name)[:1] if exact else variants(name)
                key = next((spelling for spelling in spellings if spelling in pulumi and spelling not in used), None)
                if name not in spec and key is not None:
                    match(name, key)
        # Acronyms: certificate_chain_url is certificateChainURL in places.
        folded = {key.lower(): key for key in pulumi if key not in used}
        for name in [name for name in terraform if name not in spec]:
            key = next((folded[s.lower()] for s in variants(name) if s.lower() in folded and folded[s.lower()] not in used), None)
            if key:
                match(name, key)
            else:
                self.counts.unmatched_terraform.append((owner, path + name))
        self.counts.unmatched_pulumi += [(owner, path + key) for key in pulumi if key not in used]
        self.counts.properties += len(spec)
        return spec

    def member(self, member: Member, key: str, kind: Any, owner: str, path: str) -> list[Any]:
        """Return [Pulumi's name, flat, inner spec] of one member."""
        many, inner, _ = member
        is_list = isinstance(kind, list) and kind[0] == "list"
        element = kind[1] if is_list else kind
        spec = None
        if inner is not None and isinstance(element, list) and element[0] == "obj":
            members = {name: (*element_of(t), False) for name, t in inner.items()} if isinstance(inner, dict) else members_of(inner)
            spec = self.join(members, self.object_names(element), owner, path)
        return [key, many and not is_list and kind != "any", spec]


def telling(names: Any) -> set[str]:
    """Return names in a form by which two sets of properties can be compared."""
    return {re.sub(r"(es|s)$", "", name.lower()) for name in names} - UNTELLING


def words_of(name: str) -> list[str]:
    """Return the words of a class name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def candidates(tokens: dict[str, Any], types: Any) -> list[tuple[float, float, str, str]]:
    """Return (score, likeness of properties, token, type), the surest first."""
    properties = {name: telling(camel(member) for member in members_of(schema.block)) for name, schema in types.items()}
    joined = {name: name[4:].replace("_", "") for name in types}
    out: list[tuple[float, float, str, str]] = []
    for token, entry in tokens.items():
        module = token.split(":")[1].split("/")[0].rstrip("_")
        words = words_of(re.sub(r"^get|V2$|v2$", "", token.split(":")[2]))
        mine, flat = telling([*entry["in"], *entry["out"]]), "".join(words)
        scores: list[tuple[float, float, str, str]] = []
        for name, theirs in properties.items():
            likeness = len(mine & theirs) / max(1, len(mine | theirs)) if mine or theirs else 1.0
            same_module = 0.1 if joined[name].startswith(module) else 0.0
            if joined[name] == module + flat:
                naming = 1.0
            elif joined[name] == flat:
                naming = 0.95
            elif joined[name].endswith(flat):
                naming = 0.7 + same_module
            elif likeness >= 0.4:  # noqa: PLR2004 found by trial on the pair of versions: below it, no true pair
                naming = 0.5 * sum(word in name.split("_") for word in words) / len(words) + same_module
            else:
                continue
            scores.append((round(likeness + 1.5 * naming, 4), round(likeness, 3), token, name))
        out += sorted(scores, reverse=True)[:4]
    return sorted(out, key=lambda row: (-row[0], len(row[2]), row[2]))


def is_old_name(token: str, owner: str) -> bool:
    """Tell whether a token is another name of the same type: BucketV2 and the like."""
    return token.startswith("aws:s3/") and owner.startswith("aws:s3/") and token.replace("V2", "").split(":")[2] == owner.replace("V2", "").split(":")[2]


def pair(tokens: dict[str, Any], types: Any) -> dict[str, str]:
    """Return token -> type: one to one, the surest pair first; then tokens that are an old name of a type already taken."""
    chosen = {token: name for token, name in PINNED.items() if token in tokens and name in types}
    owner = {name: token for token, name in chosen.items()}
    rows = candidates(tokens, types)
    for second in (False, True):
        for score, likeness, token, name in rows:
            # The bounds were found by trial: below them, pairs are wrong.
            sure = (score - likeness >= 1.05 and likeness >= 0.25) or likeness >= 0.75  # noqa: PLR2004
            if token in chosen or (name in owner) != second or not sure or (second and not is_old_name(token, owner[name])):
                continue
            chosen[token] = name
            owner.setdefault(name, token)
    return chosen


def build(sdk: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the table of names, with its counts."""
    joiner = Joiner(sdk)
    out: dict[str, Any] = {"resources": {}, "functions": {}}
    counts: dict[str, Any] = {}
    for kind, types, prefix in (("resources", schema.resource_schemas, ""), ("functions", schema.data_source_schemas, "data.")):
        tokens = {token: entry for token, entry in sdk[kind].items() if token.startswith("aws:")}
        pairs = pair(tokens, types)
        counts[kind] = {"in_pulumi_aws": len(tokens), "mapped": len(pairs), "in_terraform": len(types)}
        for token, name in pairs.items():
            entry = tokens[token]
            pulumi = {key: inner for key, (_, inner) in {**entry["out"], **entry["in"]}.items()}
            out[kind][token] = {
                "type": name,
                "spec": joiner.join(members_of(types[name].block), pulumi, prefix + name),
                "secrets": entry.get("secrets", []),
                "required": [key for key, (python_name, _) in entry["in"].items() if python_name in entry.get("required", [])],
                "region": "region" in entry["out"],
            }
    provider = sdk["resources"]["pulumi:providers:aws"]
    out["provider"] = joiner.join(members_of(schema.provider.block), {key: inner for key, (_, inner) in provider["in"].items()}, "provider")
    counts["properties"] = joiner.counts.properties
    counts["unmatched_pulumi"] = [row for row in joiner.counts.unmatched_pulumi if row[1].rsplit(".", 1)[-1] not in {"region", "id", "timeouts"}]
    counts["unmatched_terraform"] = [row for row in joiner.counts.unmatched_terraform if row[1] not in {"id", "timeouts"}]
    out["counts"] = counts
    return out
