"""Pairs the type tokens of pulumi_aws with Terraform's types.

A pair needs similar names and properties, or is listed below. A token without a sure pair stays without one, so that a
program that uses it is refused. Schema messages and types are JSON-like, hence `Any`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sandbox.bridge.blocks import camel_case
from sandbox.bridge.property_names import members_of

# Tokens whose names and properties are not enough to recognize the type.
KNOWN_PAIRS = {
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": "aws_s3_bucket_replication_configuration",
    "aws:codedeploy/application:Application": "aws_codedeploy_app",
    "aws:costexplorer/costCategory:CostCategory": "aws_ce_cost_category",
    "aws:elb/sslNegotiationPolicy:SslNegotiationPolicy": "aws_lb_ssl_negotiation_policy",
    "aws:amp/workspaceConfiguration:WorkspaceConfiguration": "aws_prometheus_workspace_configuration",
    "aws:directconnect/hostedPrivateVirtualInterfaceAccepter:HostedPrivateVirtualInterfaceAccepter": (
        "aws_dx_hosted_private_virtual_interface_accepter"
    ),
    "aws:directconnect/hostedTransitVirtualInterfaceAcceptor:HostedTransitVirtualInterfaceAcceptor": (
        "aws_dx_hosted_transit_virtual_interface_accepter"
    ),
    "aws:costexplorer/getCostCategory:getCostCategory": "aws_ce_cost_category",
    "aws:costexplorer/getTags:getTags": "aws_ce_tags",
    "aws:directconnect/getConnection:getConnection": "aws_dx_connection",
    "aws:ec2/getDedicatedHost:getDedicatedHost": "aws_ec2_host",
    "aws:ecs/getService:getService": "aws_ecs_service",
}
# Properties that most types have, so that they say nothing about which type it is. In the form of `comparable_names`.
COMMON_PROPERTIES = {"region", "id", "tag", "tagsall", "arn", "timeout"}
CANDIDATES_PER_TOKEN = 4

# Weights and bounds were found by trial on pulumi_aws 7.51 and provider 5.100. Below the bounds, pairs are wrong.
NAME_WEIGHT = 1.5
SAME_MODULE_BONUS = 0.1
MIN_LIKENESS_FOR_WORDS = 0.4
SURE_NAME_SCORE, MIN_LIKENESS_FOR_NAME = 1.05, 0.25
SURE_LIKENESS = 0.75


class Candidate(NamedTuple):
    """A token that may be the same as a type.

    Attributes:
        score: How sure the pair is: likeness, plus the weighted similarity of the names.
        likeness: The share of common properties, from 0 to 1.
        token: The token of pulumi_aws.
        terraform_type: Terraform's type.
    """

    score: float
    likeness: float
    token: str
    terraform_type: str

    @property
    def is_sure(self) -> bool:
        """Whether the two are the same beyond doubt."""
        name_score = self.score - self.likeness
        return (name_score >= SURE_NAME_SCORE and self.likeness >= MIN_LIKENESS_FOR_NAME) or (
            self.likeness >= SURE_LIKENESS
        )


def comparable_names(names: Iterable[str]) -> set[str]:
    """Return the names of properties in a form in which Pulumi's and Terraform's can be compared."""
    return {re.sub(r"(es|s)$", "", name.lower()) for name in names} - COMMON_PROPERTIES


def words_in(class_name: str) -> list[str]:
    """Return the words in the name of a class, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", class_name)]


def likeness_of(names: set[str], others: set[str]) -> float:
    """Return the share of common names in two sets, from 0 to 1."""
    return len(names & others) / max(1, len(names | others)) if names or others else 1.0


class TokenName(NamedTuple):
    """A token's parts for comparison: its module, and the words in the name of its class."""

    module: str
    words: list[str]

    @classmethod
    def parse(cls, token: str) -> "TokenName":
        """Return the parts of a token such as `aws:ec2/getVpc:getVpc`."""
        _, module_path, class_name = token.split(":")
        return cls(module_path.split("/")[0].rstrip("_"), words_in(re.sub(r"^get|V2$|v2$", "", class_name)))

    def similarity(self, terraform_type: str, likeness: float) -> float | None:
        """Return how similar the name of a Terraform type is, from 0 to 1.1; None if the two cannot be a pair."""
        pulumi_name, terraform_name = "".join(self.words), terraform_type.removeprefix("aws_").replace("_", "")
        bonus = SAME_MODULE_BONUS if terraform_name.startswith(self.module) else 0.0
        if terraform_name == self.module + pulumi_name:
            return 1.0
        if terraform_name == pulumi_name:
            return 0.95
        if terraform_name.endswith(pulumi_name):
            return 0.7 + bonus
        if likeness < MIN_LIKENESS_FOR_WORDS:
            return None
        terraform_words = terraform_type.split("_")
        return 0.5 * sum(word in terraform_words for word in self.words) / len(self.words) + bonus


def candidates(tokens: Mapping[str, Any], types: Mapping[str, Any]) -> list[Candidate]:
    """Return the best candidates for each token, the surest first."""
    properties = {
        name: comparable_names(camel_case(member) for member in members_of(schema.block))
        for name, schema in types.items()
    }
    result: list[Candidate] = []
    for token, entry in tokens.items():
        token_name, token_properties = TokenName.parse(token), comparable_names([*entry["in"], *entry["out"]])
        rated: list[Candidate] = []
        for terraform_type, type_properties in properties.items():
            likeness = likeness_of(token_properties, type_properties)
            similarity = token_name.similarity(terraform_type, likeness)
            if similarity is not None:
                score = round(likeness + NAME_WEIGHT * similarity, 4)
                rated.append(Candidate(score, round(likeness, 3), token, terraform_type))
        result += sorted(rated, reverse=True)[:CANDIDATES_PER_TOKEN]
    return sorted(result, key=lambda candidate: (-candidate.score, len(candidate.token), candidate.token))


def is_old_name(token: str, other_token: str) -> bool:
    """Tell whether two tokens are names of the same type, as with BucketV2 and Bucket."""
    if not (token.startswith("aws:s3/") and other_token.startswith("aws:s3/")):
        return False
    return token.replace("V2", "").split(":")[2] == other_token.replace("V2", "").split(":")[2]


def pair(tokens: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, str]:
    """Return the Terraform type of each token that has one.

    Types are first paired one to one, the surest pair first. Then old names get the type of the current one.
    """
    pairs = {token: name for token, name in KNOWN_PAIRS.items() if token in tokens and name in types}
    owners = {name: token for token, name in pairs.items()}
    sure = [candidate for candidate in candidates(tokens, types) if candidate.is_sure]
    for candidate in sure:
        if candidate.token not in pairs and candidate.terraform_type not in owners:
            pairs[candidate.token] = candidate.terraform_type
            owners[candidate.terraform_type] = candidate.token
    for candidate in sure:
        owner = owners.get(candidate.terraform_type)
        if candidate.token not in pairs and owner and is_old_name(candidate.token, owner):
            pairs[candidate.token] = candidate.terraform_type
    return pairs
