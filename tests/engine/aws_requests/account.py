"""An account of the emulator, and how a test sends requests to it."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

REGION, ACCOUNT = "us-east-1", "123456789012"
CACHE_POLICY = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # CachingOptimized, which AWS provides
TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
OWNER = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
LIMITED = {**OWNER, "Action": "kms:Decrypt"}


@dataclass
class Account:
    """An empty account of the emulator with a VPC, two subnets in two zones, and a security group."""

    endpoint: str

    def __post_init__(self) -> None:
        """Create what most requests need."""
        ec2 = self.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for index, zone in enumerate("ab")
        ]
        self.subnet_ids = [subnet["Subnet"]["SubnetId"] for subnet in self.subnets]
        self.group = ec2.create_security_group(GroupName="g", Description="g", VpcId=self.vpc)["GroupId"]
        self.count = 0

    def client(self, service: str) -> Any:
        """Return a client of boto3."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="sandbox",  # noqa: S106 the emulator accepts any
            config=Config(parameter_validation=False),  # the emulator has to refuse, not boto3
        )

    def name(self) -> str:
        """Return a name that nothing has yet."""
        self.count += 1
        return f"n{self.count}"

    def balancer(self, **arguments: Any) -> str:
        """Create a load balancer and return its ARN."""
        arguments = {"Name": self.name(), "Subnets": self.subnet_ids, **arguments}
        arn: str = self.client("elbv2").create_load_balancer(**arguments)["LoadBalancers"][0]["LoadBalancerArn"]
        return arn

    def listener(self, balancer: str, action: dict[str, Any] | None = None, **arguments: Any) -> str:
        """Create a listener, which answers with 404 by default, and return its ARN."""
        action = action or {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        arguments = {"Protocol": "HTTP", "Port": 80, **arguments}
        listeners = self.client("elbv2").create_listener(LoadBalancerArn=balancer, DefaultActions=[action], **arguments)
        arn: str = listeners["Listeners"][0]["ListenerArn"]
        return arn

    def rule(self, listener: str, priority: int) -> None:
        """Create a rule of a listener."""
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        condition = {"Field": "path-pattern", "Values": ["/a"]}
        self.client("elbv2").create_rule(
            ListenerArn=listener, Priority=priority, Conditions=[condition], Actions=[action]
        )

    def ingress(self, group: str = "", **permission: Any) -> None:
        """Add an incoming rule to a group."""
        permission = {
            "IpProtocol": "tcp",
            "FromPort": 1,
            "ToPort": 1,
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
            **permission,
        }
        self.client("ec2").authorize_security_group_ingress(GroupId=group or self.group, IpPermissions=[permission])

    def new_group(self, description: str = "g") -> str:
        """Create a security group."""
        group = self.client("ec2").create_security_group(GroupName=self.name(), Description=description, VpcId=self.vpc)
        identifier: str = group["GroupId"]
        return identifier

    def subnet(self, block: str, **arguments: Any) -> None:
        """Create a subnet."""
        self.client("ec2").create_subnet(VpcId=self.vpc, CidrBlock=block, **arguments)

    def new_vpc(self) -> str:
        """Create a VPC and return its id."""
        identifier: str = self.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        return identifier

    def template(self, size: int) -> str:
        """Create a launch template with user data of a size."""
        data = {"UserData": base64.b64encode(b"#" * size).decode(), "InstanceType": "t4g.small"}
        created = self.client("ec2").create_launch_template(LaunchTemplateName=self.name(), LaunchTemplateData=data)
        identifier: str = created["LaunchTemplate"]["LaunchTemplateId"]
        return identifier

    def servers(self, version: str = "1", **arguments: Any) -> None:
        """Create an Auto Scaling group."""
        template = {"LaunchTemplateId": self.template(1), "Version": version}
        arguments = {"MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": self.subnet_ids[0], **arguments}
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=self.name(), LaunchTemplate=template, **arguments
        )

    def group_with_refresh(self, **arguments: Any) -> str:
        """Create an Auto Scaling group, start an instance refresh, and return the group's name."""
        client, name = self.client("autoscaling"), self.name()
        template = {"LaunchTemplateId": self.template(1), "Version": "1"}
        client.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate=template,
            MinSize=0,
            MaxSize=1,
            VPCZoneIdentifier=self.subnet_ids[0],
        )
        if arguments.pop("with_template", False):
            arguments["DesiredConfiguration"] = {"LaunchTemplate": template}
        client.start_instance_refresh(AutoScalingGroupName=name, **arguments)
        return name

    def subnet_group(self, subnets: list[str]) -> str:
        """Create a subnet group of RDS and return its name."""
        name = self.name()
        self.client("rds").create_db_subnet_group(
            DBSubnetGroupName=name, DBSubnetGroupDescription="g", SubnetIds=subnets
        )
        return name

    def database(self, **arguments: Any) -> str:
        """Create a database and return its name."""
        values = {
            "DBInstanceIdentifier": self.name(),
            "Engine": "postgres",
            "EngineVersion": "16.11",
            "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": 30,
            "MasterUsername": "app",
            "MasterUserPassword": "password1",
            "BackupRetentionPeriod": 7,
            **arguments,
        }
        self.client("rds").create_db_instance(**values)
        return str(values["DBInstanceIdentifier"])

    def modified_database(self, **arguments: Any) -> None:
        """Create a database and modify it."""
        self.client("rds").modify_db_instance(DBInstanceIdentifier=self.database(), **arguments)

    def role(self, name: str = "", **statement: Any) -> str:
        """Create a role and return its name."""
        name = name or self.name()
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**TRUST, **statement}]})
        self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
        return name

    def inline_policy(self, document: str) -> None:
        """Put an inline policy into a new role."""
        self.client("iam").put_role_policy(RoleName=self.role(), PolicyName="p", PolicyDocument=document)

    def key(self, statement: dict[str, Any]) -> str:
        """Create a key with a policy and return its id."""
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        identifier: str = self.client("kms").create_key(Policy=policy)["KeyMetadata"]["KeyId"]
        return identifier

    def certificate(self, region: str) -> str:
        """Return the ARN of a certificate, which the emulator issues at once, or of none in another region."""
        requested = self.client("acm").request_certificate(DomainName="a.example.com", ValidationMethod="DNS")
        arn: str = requested["CertificateArn"]
        return arn.replace(REGION, region)

    def distribution(self, region: str) -> None:
        """Create a distribution with a certificate."""
        origin = {"Id": "o", "DomainName": "o.example.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        behavior = {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "CachePolicyId": CACHE_POLICY}
        config = {
            "CallerReference": self.name(),
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behavior,
            "Comment": "",
            "Enabled": False,
            "ViewerCertificate": {"ACMCertificateArn": self.certificate(region), "SSLSupportMethod": "sni-only"},
        }
        self.client("cloudfront").create_distribution(DistributionConfig=config)


Request = Callable[[Account], object]
Requests = dict[str, tuple[Request, str, Request | None]]
