"""The bridge held against `terraform` itself: the same resources through both give the same planned values."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox import aws_provider
from sandbox.bridge import as_terraform
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
SecurityGroup("group", name="lab-group", description="d", vpc_id=vpc.id, ingress=[{"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": ["10.0.0.0/8"], "description": "in"}])
LaunchTemplate("template", name="lab-template", image_id="ami-0123456789abcdef0", metadata_options={"http_tokens": "required"},
    block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"volume_size": 30, "encrypted": "true"}}], tag_specifications=[{"resource_type": "instance", "tags": {"N": "${x}"}}])
TargetGroup("target", name="lab-target", port=80, protocol="HTTP", vpc_id=vpc.id, health_check={"path": "/h", "matcher": "200"})
Role("role", name="lab-role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
zone = Zone("zone", name="lab.example.com", comment="lab")
Record("record", zone_id=zone.zone_id, name="www.lab.example.com", type="A", ttl=60, records=["10.0.0.1", "10.0.0.2"])
bucket = Bucket("bucket", bucket="lab-bucket-against-terraform", force_destroy=True)
BucketLifecycleConfiguration("lifecycle", bucket=bucket.bucket, rules=[{"id": "r", "status": "Enabled", "filter": {"prefix": "x/"}, "expiration": {"days": 9}}])
Queue("queue", name="lab-queue", visibility_timeout_seconds=45, tags={"B": "2"})
Parameter("parameter", name="/lab/parameter", type="SecureString", value=pulumi.Output.secret("word"))
LogGroup("log", name="/lab/terraform", retention_in_days=7)
Table("table", name="lab-table", billing_mode="PAY_PER_REQUEST", hash_key="id", attributes=[{"name": "id", "type": "S"}], ttl={"attribute_name": "t", "enabled": True})
"""

# The same, written by hand: the names and shapes are Terraform's own, not derived by the bridge.
BY_HAND: dict[str, dict[str, Any]] = {
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
    "aws_lb_target_group": {"name": "lab-target", "port": 80, "protocol": "HTTP", "vpc_id": "${aws_vpc.it.id}", "health_check": [{"path": "/h", "matcher": "200"}]},
    "aws_iam_role": {"name": "lab-role", "assume_role_policy": '{"Version": "2012-10-17", "Statement": []}'},
    "aws_route53_zone": {"name": "lab.example.com", "comment": "lab"},
    "aws_route53_record": {"zone_id": "${aws_route53_zone.it.zone_id}", "name": "www.lab.example.com", "type": "A", "ttl": 60, "records": ["10.0.0.1", "10.0.0.2"]},
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


@pytest.fixture(scope="module")
def binary(session: Session) -> Path:
    """Return Terraform's AWS provider; without it or terraform there is nothing to hold the bridge against."""
    assert session
    found = aws_provider.find_binary()
    if found is None or shutil.which("terraform") is None:
        pytest.skip("terraform and its AWS provider are needed to compare with")
    return found


@pytest.fixture(scope="module")
def made(session: Session, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[dict[str, Any]], Path]:
    """Make the program's resources through the bridge; return its state, and the folder of the same as Terraform's files."""
    lab = Lab(session, tmp_path_factory.mktemp("against"))
    lab.write(PROGRAM)
    lab.init()
    lab.up()
    exported = json.loads(lab.pulumi("stack", "export", "--show-secrets").stdout)
    folder = tmp_path_factory.mktemp("terraform")
    resources = exported["deployment"]["resources"]
    assert as_terraform.write(folder, binary, resources, REGION) == len(BY_HAND)
    assert as_terraform.run(folder, ["init", "-input=false"], session.variables()).returncode == 0
    return lab, resources, folder


def planned(folder: Path, session: Session) -> dict[str, dict[str, Any]]:
    """Return what terraform plans to create, by type: the values it knows."""
    done = as_terraform.run(folder, ["plan", "-input=false", "-out=plan", "-refresh=false"], session.variables())
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(as_terraform.run(folder, ["show", "-json", "plan"], session.variables()).stdout)
    assert {tuple(change["change"]["actions"]) for change in shown["resource_changes"]} == {("create",)}
    return {change["type"]: {"known": change["change"]["after"], "unknown": change["change"]["after_unknown"]} for change in shown["resource_changes"]}


def test_terraform_sees_nothing_to_change_in_what_the_bridge_made(session: Session, made: tuple[Lab, list[dict[str, Any]], Path]) -> None:
    """The bridge's state and inputs, given to terraform, are a plan without changes."""
    done = as_terraform.run(made[2], ["plan", "-refresh=false", "-input=false", "-no-color", "-detailed-exitcode"], session.variables())
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_plan_the_same_values(session: Session, made: tuple[Lab, list[dict[str, Any]], Path], tmp_path: Path) -> None:
    """Terraform's plan of the resources written by hand, and what the bridge planned and made, are equal attribute by attribute."""
    _, resources, folder = made
    document = json.loads((folder / "main.tf.json").read_text(encoding="utf-8"))
    document["resource"] = {kind: {"it": body} for kind, body in BY_HAND.items()}
    (tmp_path / "main.tf.json").write_text(json.dumps(document), encoding="utf-8")
    shutil.copy(folder / "cli.tfrc", tmp_path)
    assert as_terraform.run(tmp_path, ["init", "-input=false"], session.variables()).returncode == 0
    terraform = planned(tmp_path, session)
    state = json.loads((folder / "terraform.tfstate").read_text(encoding="utf-8"))
    bridge = {entry["type"]: entry["instances"][0]["attributes"] for entry in state["resources"]}
    assert len(resources) > len(BY_HAND)
    assert set(terraform) == set(bridge) == set(BY_HAND)
    for kind, plan in terraform.items():
        for name, value in plan["known"].items():
            if plan["unknown"].get(name) or value is None:  # AWS fills it in
                continue
            assert settled(bridge[kind].get(name)) == settled(value), f"{kind}.{name}"


def settled(value: Any) -> Any:
    """Return a value without what AWS may add to a planned one: nothing and empty are the same, sets have no order, JSON no spaces."""
    if isinstance(value, dict):
        return {key: inner for key, item in value.items() if (inner := settled(item)) not in (None, "", [], {}, 0, False)}
    if isinstance(value, list):
        return sorted((settled(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.dumps(json.loads(value), sort_keys=True)
    return None if value in ("", 0, False) else value
