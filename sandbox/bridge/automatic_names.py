"""Physical names for resources to which the program gives none, as in pulumi-aws: `<logical name>-<7 hex digits>`."""

import hashlib
import os
from collections.abc import Collection

from sandbox.bridge.blocks import Block

# Attributes other than `name` that get an automatic name.
NAMED_ATTRIBUTES = {
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
    "aws_s3_bucket_object": "key",
    "aws_s3_object": "key",
}
UNSUFFIXED_TYPES = {"aws_s3_bucket_object", "aws_s3_object"}  # only unique within their bucket: the logical name
# The longest name that AWS accepts, from its API references.
MAX_LENGTHS = {
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
DEFAULT_MAX_LENGTH = 255
LOWER_CASE_TYPES = {
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
# Types whose `name` pulumi-aws does not fill in, such as a domain name.
UNNAMED_TYPES = {"aws_route53_record", "aws_route53_zone", "aws_vpc_dhcp_options"}
PREFIXES = {"aws_kms_alias": "alias/"}
FIFO_SUFFIX = ".fifo"  # AWS requires it in the names of FIFO queues and topics
RANDOM_DIGITS = 7


class NameTooLongError(Exception):
    """An automatic name that AWS would refuse because of its length."""


def named_attribute(terraform_type: str, block: Block, required: Collection[str]) -> str | None:
    """Return the attribute that gets an automatic name, in Terraform's spelling, or None.

    required: the properties that a program must set, in Pulumi's spelling.
    """
    name = NAMED_ATTRIBUTES.get(terraform_type, "name")
    if terraform_type in UNNAMED_TYPES or name not in block.attributes or block.is_read_only(name):
        return None
    if block.attributes[name].type != "string":
        return None
    pulumi_name = block.pulumi_name(name)
    return name if pulumi_name and pulumi_name not in required else None


def generate(terraform_type: str, logical_name: str, seed: bytes, *, fifo: bool = False) -> str:
    """Return a physical name.

    seed: the engine's random seed for the resource, with which a preview and the following update get the same name.
    """
    digits = hashlib.sha1(seed, usedforsecurity=False).hexdigest() if seed else os.urandom(RANDOM_DIGITS).hex()
    base = logical_name.lower() if terraform_type in LOWER_CASE_TYPES else logical_name
    suffix = FIFO_SUFFIX if fifo else ""
    if terraform_type in UNSUFFIXED_TYPES:
        return base
    name = f"{PREFIXES.get(terraform_type, '')}{base}-{digits[:RANDOM_DIGITS]}{suffix}"
    max_length = MAX_LENGTHS.get(terraform_type, DEFAULT_MAX_LENGTH)
    if len(name) > max_length:
        raise NameTooLongError(
            f"the automatic name {name!r} has {len(name)} characters, but {terraform_type} allows {max_length}.\n"
            "Set the name explicitly, or shorten the resource's logical name."
        )
    return name
