"""Creates the log of the VPC's traffic."""

import json
from collections.abc import Mapping

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.flow_log import FlowLog
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from components.outputs import available_after, json_document
from components.policies.documents import service_trust_policy
from foundation.policies import flow_log_policy

AGGREGATION_SECONDS = 600  # the longer of the two intervals that AWS allows, and the cheaper one


def flow_logs(
    name: str,
    *,
    vpc_id: pulumi.Input[str],
    environment: str,
    log_days: int,
    key_arn: pulumi.Input[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> None:
    """Log accepted and refused connections to an encrypted log group. log_days: how long they are kept."""
    opts = pulumi.ResourceOptions(parent=parent)
    log_group = LogGroup(
        f"{name}-flow-logs",
        name=f"/{environment}/network/flow",
        retention_in_days=log_days,
        kms_key_id=key_arn,
        tags=tags,
        opts=opts,
    )
    role = Role(
        f"{name}-flow-role",
        description="VPC flow logs are written to CloudWatch",
        assume_role_policy=json.dumps(service_trust_policy("vpc-flow-logs.amazonaws.com")),
        tags=tags,
        opts=opts,
    )
    permissions = RolePolicy(
        f"{name}-flow-permissions",
        role=role.name,
        policy=json_document(flow_log_policy, log_group_arn=log_group.arn),
        opts=opts,
    )
    FlowLog(
        f"{name}-flow",
        vpc_id=vpc_id,
        traffic_type="ALL",
        log_destination=log_group.arn,
        iam_role_arn=available_after(role.arn, permissions),
        max_aggregation_interval=AGGREGATION_SECONDS,
        tags=tags,
        opts=opts,
    )
