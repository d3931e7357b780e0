"""The bridge compared with `terraform`: with the same provider, both plan the same values for the same resources."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import aws_provider
from sandbox.bridge import terraform_export
from sandbox.session import REGION, Session
from tests.engine.lab import Lab

PROGRAM = """
import json
import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.dynamodb.table import Table
from pulumi_aws.ec2.launch_template import LaunchTemplate
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.iam.role import Role
from pulumi_aws.lb.target_group import TargetGroup
from pulumi_aws.route53.record import Record
from pulumi_aws.route53.zone import Zone
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.sqs.queue import Queue
from pulumi_aws.ssm.parameter import Parameter

vpc = Vpc("vpc", cidr_block="10.9.0.0/16", enable_dns_hostnames=True, tags={"A": "1"})
Subnet("subnet", vpc_id=vpc.id, cidr_block="10.9.1.0/24", availability_zone="us-east-1a")
SecurityGroup(
    "group",
    name="lab-group",
    description="d",
    vpc_id=vpc.id,
    ingress=[
        {"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": ["10.0.0.0/8"], "description": "in"}
    ],
)
LaunchTemplate(
    "template",
    name="lab-template",
    image_id="ami-0123456789abcdef0",
    metadata_options={"http_tokens": "required"},
    block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"volume_size": 30, "encrypted": "true"}}],
    tag_specifications=[{"resource_type": "instance", "tags": {"N": "${x}"}}],
)
TargetGroup(
    "target",
    name="lab-target",
    port=80,
    protocol="HTTP",
    vpc_id=vpc.id,
    health_check={"path": "/h", "matcher": "200"},
)
Role("role", name="lab-role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
zone = Zone("zone", name="lab.example.com", comment="lab")
Record("record", zone_id=zone.zone_id, name="www.lab.example.com", type="A", ttl=60, records=["10.0.0.1", "10.0.0.2"])
bucket = Bucket("bucket", bucket="lab-bucket-against-terraform", force_destroy=True)
BucketLifecycleConfiguration(
    "lifecycle",
    bucket=bucket.bucket,
    rules=[{"id": "r", "status": "Enabled", "filter": {"prefix": "x/"}, "expiration": {"days": 9}}],
)
Queue("queue", name="lab-queue", visibility_timeout_seconds=45, tags={"B": "2"})
Parameter("parameter", name="/lab/parameter", type="SecureString", value=pulumi.Output.secret("word"))
LogGroup("log", name="/lab/terraform", retention_in_days=7)
Table(
    "table",
    name="lab-table",
    billing_mode="PAY_PER_REQUEST",
    hash_key="id",
    attributes=[{"name": "id", "type": "S"}],
    ttl={"attribute_name": "t", "enabled": True},
)
"""

# The same resources, written by hand with Terraform's own names and shapes, so that no error of the bridge is in them.
HANDWRITTEN: dict[str, dict[str, Any]] = {
    "aws_vpc": {"cidr_block": "10.9.0.0/16", "enable_dns_hostnames": True, "tags": {"A": "1"}},
    "aws_subnet": {"cidr_block": "10.9.1.0/24", "availability_zone": "us-east-1a", "vpc_id": "${aws_vpc.it.id}"},
    "aws_security_group": {
        "name": "lab-group",
        "description": "d",
        "vpc_id": "${aws_vpc.it.id}",
        "ingress": [
            {
                "protocol": "tcp",
                "from_port": 80,
                "to_port": 80,
                "cidr_blocks": ["10.0.0.0/8"],
                "description": "in",
                "ipv6_cidr_blocks": [],
                "prefix_list_ids": [],
                "security_groups": [],
                "self": False,
            }
        ],
    },
    "aws_launch_template": {
        "name": "lab-template",
        "image_id": "ami-0123456789abcdef0",
        "metadata_options": [{"http_tokens": "required"}],
        "block_device_mappings": [{"device_name": "/dev/xvda", "ebs": [{"volume_size": 30, "encrypted": "true"}]}],
        "tag_specifications": [{"resource_type": "instance", "tags": {"N": "$${x}"}}],
    },
    "aws_lb_target_group": {
        "name": "lab-target",
        "port": 80,
        "protocol": "HTTP",
        "vpc_id": "${aws_vpc.it.id}",
        "health_check": [{"path": "/h", "matcher": "200"}],
    },
    "aws_iam_role": {"name": "lab-role", "assume_role_policy": '{"Version": "2012-10-17", "Statement": []}'},
    "aws_route53_zone": {"name": "lab.example.com", "comment": "lab"},
    "aws_route53_record": {
        "zone_id": "${aws_route53_zone.it.zone_id}",
        "name": "www.lab.example.com",
        "type": "A",
        "ttl": 60,
        "records": ["10.0.0.1", "10.0.0.2"],
    },
    "aws_s3_bucket": {"bucket": "lab-bucket-against-terraform", "force_destroy": True},
    "aws_s3_bucket_lifecycle_configuration": {
        "bucket": "${aws_s3_bucket.it.bucket}",
        "rule": [{"id": "r", "status": "Enabled", "filter": [{"prefix": "x/"}], "expiration": [{"days": 9}]}],
    },
    "aws_sqs_queue": {"name": "lab-queue", "visibility_timeout_seconds": 45, "tags": {"B": "2"}},
    "aws_ssm_parameter": {"name": "/lab/parameter", "type": "SecureString", "value": "word"},
    "aws_cloudwatch_log_group": {"name": "/lab/terraform", "retention_in_days": 7},
    "aws_dynamodb_table": {
        "name": "lab-table",
        "billing_mode": "PAY_PER_REQUEST",
        "hash_key": "id",
        "attribute": [{"name": "id", "type": "S"}],
        "ttl": [{"attribute_name": "t", "enabled": True}],
    },
}


@dataclass(frozen=True)
class Deployment:
    """The program's resources, deployed through the bridge.

    Attributes:
        resources: All resources in Pulumi's state.
        folder: The AWS resources and their state as Terraform's files, after `terraform init`.
    """

    resources: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def binary(session: Session) -> Path:
    """Return Terraform's AWS provider. The tests are skipped on machines without it or without terraform."""
    assert session
    binary = aws_provider.find_binary()
    if binary is None or shutil.which("terraform") is None:
        pytest.skip("this machine has no terraform or no AWS provider of Terraform's, so there is nothing to compare")
    return binary


@pytest.fixture(scope="module")
def deployment(session: Session, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Deploy the program through the bridge and write it as Terraform's files."""
    lab = Lab(session, tmp_path_factory.mktemp("against"))
    lab.write(PROGRAM)
    lab.init()
    lab.up()
    exported = json.loads(lab.pulumi("stack", "export", "--show-secrets").stdout)
    resources = exported["deployment"]["resources"]
    folder = tmp_path_factory.mktemp("terraform")
    assert terraform_export.write(folder, binary, resources, REGION) == len(HANDWRITTEN)
    assert terraform_export.run(folder, ["init", "-input=false"], session.variables()).returncode == 0
    return Deployment(resources, folder)


def plan(folder: Path, session: Session) -> dict[str, dict[str, Any]]:
    """Return what terraform plans to create, by type: the known values, and which are unknown."""
    done = terraform_export.run(folder, ["plan", "-input=false", "-out=plan", "-refresh=false"], session.variables())
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(terraform_export.run(folder, ["show", "-json", "plan"], session.variables()).stdout)
    assert {tuple(change["change"]["actions"]) for change in document["resource_changes"]} == {("create",)}
    return {
        change["type"]: {"known": change["change"]["after"], "unknown": change["change"]["after_unknown"]}
        for change in document["resource_changes"]
    }


def test_terraform_finds_no_changes_in_what_the_bridge_deployed(session: Session, deployment: Deployment) -> None:
    """With the bridge's inputs as configuration and the bridge's state, terraform plans no changes."""
    done = terraform_export.run(
        deployment.folder,
        ["plan", "-refresh=false", "-input=false", "-no-color", "-detailed-exitcode"],
        session.variables(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_and_the_bridge_plan_the_same_values(
    session: Session, deployment: Deployment, tmp_path: Path
) -> None:
    """Each known value in terraform's plan of the handwritten configuration equals what the bridge deployed."""
    document = json.loads((deployment.folder / "main.tf.json").read_text(encoding="utf-8"))
    document["resource"] = {kind: {"it": body} for kind, body in HANDWRITTEN.items()}
    (tmp_path / "main.tf.json").write_text(json.dumps(document), encoding="utf-8")
    shutil.copy(deployment.folder / "cli.tfrc", tmp_path)
    assert terraform_export.run(tmp_path, ["init", "-input=false"], session.variables()).returncode == 0
    terraform = plan(tmp_path, session)
    state = json.loads((deployment.folder / "terraform.tfstate").read_text(encoding="utf-8"))
    bridge = {entry["type"]: entry["instances"][0]["attributes"] for entry in state["resources"]}
    assert len(deployment.resources) > len(HANDWRITTEN)
    assert set(terraform) == set(bridge) == set(HANDWRITTEN)
    for kind, values in terraform.items():
        for name, value in values["known"].items():
            if values["unknown"].get(name) or value is None:  # AWS sets it
                continue
            assert comparable(bridge[kind].get(name)) == comparable(value), f"{kind}.{name}"


def comparable(value: Any) -> Any:
    """Return a value without differences that do not matter.

    AWS may return an empty value where none was set, so the two are equal. Sets have no order, and spaces in JSON have
    no meaning.
    """
    if isinstance(value, dict):
        members = {key: comparable(item) for key, item in value.items()}
        return {key: member for key, member in members.items() if member not in (None, "", [], {}, 0, False)}
    if isinstance(value, list):
        return sorted((comparable(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.dumps(json.loads(value), sort_keys=True)
    return None if value in ("", 0, False) else value
