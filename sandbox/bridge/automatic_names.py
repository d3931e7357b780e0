"""pulumi-aws's automatic names: <resource's name>-<7 hexadecimal digits> for a name that the program leaves out."""

import hashlib
import os
from collections.abc import Collection

from sandbox.bridge.values import Block

# Arguments other than `name` that are named automatically.
FIELDS = {
    "aws_s3_bucket": "bucket",
    "aws_db_instance": "identifier",
    "aws_rds_cluster": "cluster_identifier",
    "aws_rds_cluster_instance": "identifier",
    "aws_docdb_cluster": "cluster_identifier",
    "aws_docdb_cluster_instance": "identifier",
    "aws_neptune_cluster": "cluster_identifier",
    "aws_elasticache_replication_group": "replication_group_id",
    "aws_elasticache_cluster": "cluster_id",
    "aws_redshift_cluster": "cluster_identifier",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_lambda_function": "function_name",
}
# The longest name that AWS takes, from its API references; 255 for what is not listed.
LIMITS = {
    "aws_lb": 32,
    "aws_alb": 32,
    "aws_elb": 32,
    "aws_lb_target_group": 32,
    "aws_alb_target_group": 32,
    "aws_s3_bucket": 63,
    "aws_db_instance": 63,
    "aws_elasticache_replication_group": 40,
    "aws_iam_role": 64,
    "aws_iam_user": 64,
    "aws_iam_instance_profile": 128,
}
LOWER_CASE = {
    "aws_s3_bucket",
    "aws_db_instance",
    "aws_rds_cluster",
    "aws_rds_cluster_instance",
    "aws_db_subnet_group",
    "aws_db_parameter_group",
    "aws_elasticache_replication_group",
    "aws_elasticache_subnet_group",
    "aws_elasticache_parameter_group",
}
NEVER = {"aws_route53_record", "aws_route53_zone", "aws_vpc_dhcp_options"}
PREFIXES = {"aws_kms_alias": "alias/"}


def field(terraform_type: str, block: Block, required: Collection[str]) -> str | None:
    """Return Terraform's name of the argument that gets an automatic name, or None."""
    name = FIELDS.get(terraform_type, "name")
    if terraform_type in NEVER or name not in block.attributes or block.computed_only(name) or block.attributes[name][0] != "string":
        return None
    pulumi_name = block.pulumi_name(name)
    return name if pulumi_name and pulumi_name not in required else None


def unique(terraform_type: str, resource_name: str, seed: bytes, *, fifo: bool = False) -> str:
    """Return a name; ValueError where AWS would refuse it for its length. The engine's seed makes it the same in a saved plan."""
    digits = hashlib.sha1(seed, usedforsecurity=False).hexdigest()[:7] if seed else os.urandom(4).hex()[:7]
    base = resource_name.lower() if terraform_type in LOWER_CASE else resource_name
    name = f"{PREFIXES.get(terraform_type, '')}{base}-{digits}{'.fifo' if fifo else ''}"
    limit = LIMITS.get(terraform_type, 255)
    if len(name) > limit:
        message = f"the automatic name {name!r} is longer than the {limit} characters {terraform_type} allows: set the name, or shorten the resource's"
        raise ValueError(message)
    return name
