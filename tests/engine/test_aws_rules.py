"""Requests that AWS refuses: the emulator refuses them with the same error, and accepts their right counterparts."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import process as emulator
from sandbox.paths import Paths

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

    def listener(self, balancer: str, **arguments: Any) -> str:
        """Create a listener that answers with 404 and return its ARN."""
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
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

    def subnet(self, block: str) -> None:
        """Create a subnet."""
        self.client("ec2").create_subnet(VpcId=self.vpc, CidrBlock=block)

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
        name = self.name()
        values = {
            "Engine": "postgres",
            "EngineVersion": "16.11",
            "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": 30,
            "MasterUsername": "app",
            "MasterUserPassword": "password1",
            "BackupRetentionPeriod": 7,
            **arguments,
        }
        self.client("rds").create_db_instance(DBInstanceIdentifier=name, **values)
        return name

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


def twice(request: Request) -> Request:
    """Return a request that is sent twice."""

    def send(account: Account) -> None:
        request(account)
        request(account)

    return send


def protected(account: Account, *, value: str) -> None:
    """Delete a load balancer with or without deletion protection."""
    arn, client = account.balancer(), account.client("elbv2")
    attributes = [{"Key": "deletion_protection.enabled", "Value": value}]
    client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
    client.delete_load_balancer(LoadBalancerArn=arn)


def delete_group(account: Account, *, is_used: bool) -> None:
    """Delete a security group that a rule of another group names, or not."""
    group = account.new_group()
    if is_used:
        account.ingress(IpRanges=[], UserIdGroupPairs=[{"GroupId": group}])
    account.client("ec2").delete_security_group(GroupId=group)


def delete_subnet(account: Account, *, is_used: bool) -> None:
    """Delete a subnet with or without a load balancer in it."""
    ec2, third = account.client("ec2"), 100 + len(account.name())
    block = f"10.7.{third + account.count}.0/24"
    subnet = ec2.create_subnet(VpcId=account.vpc, CidrBlock=block, AvailabilityZone=f"{REGION}b")["Subnet"]["SubnetId"]
    if is_used:
        account.balancer(Subnets=[account.subnet_ids[0], subnet])
    ec2.delete_subnet(SubnetId=subnet)


def gateways(account: Account, *, count: int) -> None:
    """Create NAT gateways with one address."""
    ec2 = account.client("ec2")
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    for _ in range(count):
        ec2.create_nat_gateway(SubnetId=account.subnet_ids[0], AllocationId=address)


def rules(account: Account, *priorities: int) -> None:
    """Create rules of one listener."""
    listener = account.listener(account.balancer())
    for priority in priorities:
        account.rule(listener, priority)


def listeners(account: Account, *ports: int) -> None:
    """Create listeners of one load balancer."""
    balancer = account.balancer()
    for port in ports:
        account.listener(balancer, Port=port)


def delete_database(account: Account, **arguments: Any) -> None:
    """Delete a database."""
    account.client("rds").delete_db_instance(DBInstanceIdentifier=account.database(), **arguments)


def delete_key(account: Account, days: int) -> None:
    """Schedule the deletion of a key."""
    account.client("kms").schedule_key_deletion(KeyId=account.key(OWNER), PendingWindowInDays=days)


def https_listener(account: Account, region: str) -> None:
    """Create a listener with a certificate."""
    certificate = {"CertificateArn": account.certificate(region)}
    account.listener(account.balancer(), Protocol="HTTPS", Port=443, Certificates=[certificate])


def policy(characters: int) -> str:
    """Return a policy of a size."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + "a" * characters}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# By name: the request that AWS refuses, its error, and what it accepts instead.
REQUESTS: dict[str, tuple[Request, str, Request | None]] = {
    "an apostrophe in a group's description": (
        lambda account: account.new_group("the service's own"),
        "InvalidParameterValue",
        lambda account: account.new_group("own: (1) a-b_c, d/e #1 @ [x]+=&;{}!$*."),
    ),
    "a long description": (lambda account: account.new_group("a" * 256), "InvalidParameterValue", None),
    "an umlaut in a rule's description": (
        lambda account: account.ingress(IpRanges=[{"CidrIp": "10.1.0.0/16", "Description": "B\u00fcro"}]),
        "InvalidParameterValue",
        lambda account: account.ingress(IpRanges=[{"CidrIp": "10.1.0.0/16", "Description": "Buero"}]),
    ),
    "a port above 65535": (
        lambda account: account.ingress(ToPort=65536),
        "InvalidParameterValue",
        lambda account: account.ingress(ToPort=65535),
    ),
    "a reversed range of ports": (lambda account: account.ingress(FromPort=2), "InvalidParameterValue", None),
    "the same rule twice": (
        twice(lambda account: account.ingress(FromPort=7, ToPort=7)),
        "InvalidPermission.Duplicate",
        lambda account: account.ingress(FromPort=8, ToPort=8),
    ),
    "deleting a group in use": (
        lambda account: delete_group(account, is_used=True),
        "DependencyViolation",
        lambda account: delete_group(account, is_used=False),
    ),
    "a subnet outside of its VPC": (
        lambda account: account.subnet("10.8.0.0/24"),
        "InvalidSubnet.Range",
        lambda account: account.subnet("10.7.8.0/24"),
    ),
    "overlapping subnets": (lambda account: account.subnet("10.7.1.0/25"), "InvalidSubnet.Conflict", None),
    "deleting a subnet in use": (
        lambda account: delete_subnet(account, is_used=True),
        "DependencyViolation",
        lambda account: delete_subnet(account, is_used=False),
    ),
    "one address for two NAT gateways": (
        lambda account: gateways(account, count=2),
        "Resource.AlreadyAssociated",
        lambda account: gateways(account, count=1),
    ),
    "user data over 16 KB": (
        lambda account: account.template(16385),
        "InvalidUserData.Malformed",
        lambda account: account.template(16384),
    ),
    "a version that a launch template does not have": (
        lambda account: account.servers(version="2"),
        "ValidationError",
        lambda account: account.servers(version="1"),
    ),
    "an automatic rollback to nothing": (
        lambda account: account.group_with_refresh(Preferences={"AutoRollback": True}),
        "ValidationError",
        lambda account: account.group_with_refresh(Preferences={"AutoRollback": True}, with_template=True),
    ),
    "two instance refreshes at the same time": (
        lambda account: account.client("autoscaling").start_instance_refresh(
            AutoScalingGroupName=account.group_with_refresh()
        ),
        "InstanceRefreshInProgress",
        lambda account: account.group_with_refresh(),
    ),
    "an underscore in a load balancer's name": (
        lambda account: account.balancer(Name="a_b"),
        "ValidationError",
        lambda account: account.balancer(Name="a-b"),
    ),
    "a name of 33 characters": (lambda account: account.balancer(Name="a" * 33), "ValidationError", None),
    "a reserved name": (lambda account: account.balancer(Name="internal-a"), "ValidationError", None),
    "one zone": (
        lambda account: account.balancer(Subnets=account.subnet_ids[:1]),
        "ValidationError",
        lambda account: account.balancer(Subnets=account.subnet_ids[:1], Type="network"),
    ),
    "deleting a protected load balancer": (
        lambda account: protected(account, value="true"),
        "OperationNotPermitted",
        lambda account: protected(account, value="false"),
    ),
    "two listeners on a port": (
        lambda account: listeners(account, 80, 80),
        "DuplicateListener",
        lambda account: listeners(account, 80, 81),
    ),
    "a listener's certificate of another region": (
        lambda account: https_listener(account, "us-west-2"),
        "UnsupportedCertificate",
        lambda account: https_listener(account, REGION),
    ),
    "a distribution's certificate of another region": (
        lambda account: account.distribution("us-west-2"),
        "InvalidViewerCertificate",
        lambda account: account.distribution(REGION),
    ),
    "the priority of another rule": (
        lambda account: rules(account, 5, 5),
        "PriorityInUse",
        lambda account: rules(account, 5, 6),
    ),
    "a priority above 50000": (
        lambda account: rules(account, 50001),
        "ValidationError",
        lambda account: rules(account, 50000),
    ),
    "a minimum above the maximum": (
        lambda account: account.servers(MinSize=2),
        "ValidationError",
        lambda account: account.servers(MinSize=1),
    ),
    "an unknown health check": (
        lambda account: account.servers(HealthCheckType="HTTP"),
        "ValidationError",
        lambda account: account.servers(HealthCheckType="ELB", HealthCheckGracePeriod=60),
    ),
    "servers in an unknown subnet": (
        lambda account: account.servers(VPCZoneIdentifier="subnet-0123456789abcdef0"),
        "ValidationError",
        None,
    ),
    "backups for 36 days": (
        lambda account: account.database(BackupRetentionPeriod=36),
        "InvalidParameterValue",
        lambda account: account.database(BackupRetentionPeriod=35),
    ),
    "a short password": (
        lambda account: account.database(MasterUserPassword="seven77"),
        "InvalidParameterValue",
        lambda account: account.database(),
    ),
    "a database with an unknown security group": (
        lambda account: account.database(VpcSecurityGroupIds=["sg-0123456789abcdef0"]),
        "InvalidParameterValue",
        lambda account: account.database(VpcSecurityGroupIds=[account.group]),
    ),
    "less storage": (
        lambda account: account.modified_database(AllocatedStorage=20),
        "InvalidParameterCombination",
        lambda account: account.modified_database(AllocatedStorage=40),
    ),
    "an older engine": (
        lambda account: account.modified_database(EngineVersion="16.9"),
        "InvalidParameterCombination",
        lambda account: account.modified_database(EngineVersion="16.12"),
    ),
    "a subnet group in one zone": (
        lambda account: account.subnet_group(account.subnet_ids[:1]),
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        lambda account: account.subnet_group(account.subnet_ids),
    ),
    "deleting a database without a word about a snapshot": (
        delete_database,
        "InvalidParameterCombination",
        lambda account: delete_database(account, SkipFinalSnapshot=True),
    ),
    "a key that locks its owner out": (
        lambda account: account.key(LIMITED),
        "MalformedPolicyDocumentException",
        lambda account: account.key(OWNER),
    ),
    "a waiting period of 6 days": (
        lambda account: delete_key(account, 6),
        "ValidationException",
        lambda account: delete_key(account, 7),
    ),
    "a role's name of 65 characters": (
        lambda account: account.role("r" * 65),
        "ValidationError",
        lambda account: account.role("r" * 64),
    ),
    "resources in a trust policy": (
        lambda account: account.role(Resource="*"),
        "MalformedPolicyDocument",
        lambda account: account.role(),
    ),
    "a policy that is no JSON": (
        lambda account: account.inline_policy("{"),
        "MalformedPolicyDocument",
        lambda account: account.inline_policy(policy(10)),
    ),
    "a policy over 10,240 characters": (
        lambda account: account.inline_policy(policy(10240)),
        "LimitExceeded",
        lambda account: account.inline_policy(policy(10000)),
    ),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """Return the folders of an emulator of its own."""
    paths = Paths(tmp_path_factory.mktemp("rules") / "sandbox")
    paths.create()
    try:
        yield paths
    finally:
        emulator.stop(paths)


@pytest.fixture(scope="module")
def account(paths: Paths) -> Account:
    """Return an account in that emulator."""
    return Account(emulator.ensure(paths).endpoint)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_aws_refuses_is_refused(account: Account, name: str) -> None:
    """The error has AWS's code."""
    request, code, _ = REQUESTS[name]
    with pytest.raises(ClientError) as error:
        request(account)
    assert error.value.response["Error"]["Code"] == code, error.value


@pytest.mark.parametrize("name", [name for name, (_, _, right) in REQUESTS.items() if right])
def test_what_aws_accepts_is_accepted(account: Account, name: str) -> None:
    """A similar request without the mistake."""
    *_, right = REQUESTS[name]
    assert right is not None
    right(account)


def test_closed_connections_are_not_kept(account: Account, paths: Paths) -> None:
    """However many clients come and go, the emulator does not run out of files."""
    process = emulator.find(paths)
    assert process
    folder = Path(f"/proc/{process.pid}/fd")
    before = len(list(folder.iterdir()))
    for _ in range(50):
        account.client("sts").get_caller_identity()
    assert len(list(folder.iterdir())) < before + 25
