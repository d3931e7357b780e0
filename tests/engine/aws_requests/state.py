"""Requests that are wrong because of what exists, or because of a limit: networks, balancers, servers, databases."""

import json
from typing import Any

from tests.engine.aws_requests.account import LIMITED, OWNER, REGION, Account, Request, Requests


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


REQUESTS: Requests = {
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
