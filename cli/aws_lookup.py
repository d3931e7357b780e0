"""Finds in AWS what an interrupted operation may have created, by what its inputs say about it. It changes nothing.

Most resources have a name of their own, which Pulumi chose before it called AWS. The others are found by their tags,
and by the resources that they belong to.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cli.aws_clients import AwsClients

Inputs = Mapping[str, Any]  # a resource's inputs, as Pulumi's state has them
Item = Mapping[str, Any]  # one item of an answer of AWS
Finder = Callable[["Lookup", Inputs], Iterable[str]]

NOT_FOUND = re.compile(r"NotFound|NoSuch|^404$")  # in the code of an error
GONE = frozenset({"deleted", "deleting", "failed", "PendingDeletion"})  # states of what is not there any more
# Creating one of these again has no effect if it exists: AWS sets the same values, or there is nothing in AWS.
REPEATABLE = frozenset(
    {
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:cloudwatch/dashboard:Dashboard",
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes",
        "aws:sns/topicSubscription:TopicSubscription",
    }
)
# What the provider waits for when it creates one: the client, boto3's waiter, and its argument from the inputs or ID.
WAITERS: Mapping[str, tuple[str, str, Callable[[str, Inputs], Mapping[str, Any]]]] = {
    "aws:rds/instance:Instance": (
        "rds",
        "db_instance_available",
        lambda _, inputs: {"DBInstanceIdentifier": inputs["identifier"]},
    ),
    "aws:ec2/natGateway:NatGateway": ("ec2", "nat_gateway_available", lambda id_, _: {"NatGatewayIds": [id_]}),
    "aws:lb/loadBalancer:LoadBalancer": (
        "elbv2",
        "load_balancer_available",
        lambda id_, _: {"LoadBalancerArns": [id_]},
    ),
}


class Lookup:
    """Asks AWS for resources of one stack's account."""

    def __init__(self, clients: AwsClients) -> None:
        """Keep the clients."""
        self._clients = clients

    def find(self, resource_type: str, inputs: Inputs) -> list[str] | None:
        """Return the IDs of the resources that inputs may have created; None if the type is not known here.

        The result is empty for what can be created again without effect.
        """
        if resource_type in REPEATABLE:
            return []
        finder = FINDERS.get(resource_type)
        return None if finder is None else sorted(finder(self, inputs))

    def wait_until_available(self, resource_type: str, resource_id: str, inputs: Inputs) -> None:
        """Wait for what takes AWS minutes to create, as the provider would have."""
        if resource_type in WAITERS:
            service, waiter, arguments = WAITERS[resource_type]
            with self._clients.errors():
                self._clients.client(service).get_waiter(waiter).wait(**arguments(resource_id, inputs))

    def items(
        self, service: str, operation: str, key: str = "", region: str | None = None, /, **arguments: Any
    ) -> list[Item]:
        """Return the items of all pages of an answer, or the whole answer if key is empty; nothing if AWS has none."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 see AwsClients

        client = self._clients.client(service, region)
        with self._clients.errors():
            try:
                if client.can_paginate(operation):
                    pages = client.get_paginator(operation).paginate(**arguments)
                    return [item for page in pages for item in _at(page, key)]
                answer = getattr(client, operation)(**arguments)
            except ClientError as error:
                if NOT_FOUND.search(error.response["Error"]["Code"]):
                    return []
                raise
        return list(_at(answer, key)) if key else [answer]


def _at(answer: Item, path: str) -> Sequence[Item]:
    """Return the list at a path such as `DistributionList.Items`."""
    value: Any = answer
    for step in path.split("."):
        value = value.get(step) or {}
    return value or []


def _tag_filters(inputs: Inputs) -> list[dict[str, Any]]:
    """Return EC2's filters for the tags in a resource's inputs."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in (inputs.get("tags") or {}).items()]


def _in_ec2(operation: str, key: str, id_field: str, filters: Mapping[str, str], argument: str = "Filters") -> Finder:
    """Return a finder of EC2 resources by their tags. filters: the input that each of EC2's filters has to equal."""

    def find(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
        own = [{"Name": name, "Values": [str(inputs[field])]} for name, field in filters.items()]
        items = lookup.items("ec2", operation, key, **{argument: [*own, *_tag_filters(inputs)]})
        return [item[id_field] for item in items if item.get("State") not in GONE]

    return find


def _by_name(service: str, operation: str, key: str, argument: str, id_field: str) -> Finder:
    """Return a finder of what has a name. argument: of the call, which takes a list of names."""
    return lambda lookup, inputs: [
        item[id_field] for item in lookup.items(service, operation, key, **{argument: [inputs["name"]]})
    ]


def _by_exact_name(service: str, operation: str, argument: str, field: str) -> Finder:
    """Return a finder of what a call that takes one name describes, and whose ID is the name."""
    return lambda lookup, inputs: [inputs[field] for _ in lookup.items(service, operation, **{argument: inputs[field]})]


def _rds(operation: str, key: str, argument: str, field: str, id_field: str) -> Finder:
    """Return a finder of what RDS describes by name."""
    return lambda lookup, inputs: [
        item[id_field] for item in lookup.items("rds", operation, key, **{argument: inputs[field]})
    ]


def _route(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    """Find a route. The provider's ID of one is made of the table and a checksum of the destination."""
    destination = inputs.get("destinationCidrBlock") or inputs.get("destinationIpv6CidrBlock")
    table = inputs["routeTableId"]
    tables = lookup.items("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[table])
    routes = [route for item in tables for route in item.get("Routes", [])]
    destinations = {route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock") for route in routes}
    return [f"r-{table}{zlib.crc32(destination.encode())}"] if destination and destination in destinations else []


def _route_table_association(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    tables = lookup.items("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[inputs["routeTableId"]])
    associations = [association for table in tables for association in table.get("Associations", [])]
    return [
        association["RouteTableAssociationId"]
        for association in associations
        if association.get("SubnetId") == inputs["subnetId"]
    ]


def _security_group_rule(*, is_egress: bool) -> Finder:
    """Return a finder of a rule, which is identified by everything that it says."""

    def find(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
        group = {"Name": "group-id", "Values": [inputs["securityGroupId"]]}
        items = lookup.items("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=[group])
        fields = ("fromPort", "toPort", "cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
        wanted = (is_egress, inputs["ipProtocol"], *(inputs.get(field) for field in fields))
        return [item["SecurityGroupRuleId"] for item in items if _rule_identity(item) == wanted]

    return find


def _rule_identity(item: Item) -> tuple[Any, ...]:
    """Return what identifies a rule that EC2 describes."""
    ports = (None, None) if item["IpProtocol"] == "-1" else (item.get("FromPort"), item.get("ToPort"))
    source = (item.get("CidrIpv4"), item.get("CidrIpv6"), item.get("PrefixListId"))
    group = (item.get("ReferencedGroupInfo") or {}).get("GroupId")
    return (item["IsEgress"], item["IpProtocol"], *ports, *(value or None for value in source), group)


def _flow_log(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    source = {"Name": "resource-id", "Values": [inputs["vpcId"]]}
    items = lookup.items("ec2", "describe_flow_logs", "FlowLogs", Filter=[source])
    return [item["FlowLogId"] for item in items if item.get("LogDestination") == inputs["logDestination"]]


def _key(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    for item in lookup.items("kms", "list_keys", "Keys"):
        for answer in lookup.items("kms", "describe_key", KeyId=item["KeyId"]):
            key = answer["KeyMetadata"]
            if key["KeyState"] not in GONE and key.get("Description") == inputs.get("description"):
                yield item["KeyId"]


def _alias(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("kms", "list_aliases", "Aliases")
    return [item["AliasName"] for item in items if item["AliasName"] == inputs["name"]]


def _certificate(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("acm", "list_certificates", "CertificateSummaryList", inputs.get("region"))
    return [item["CertificateArn"] for item in items if item["DomainName"] == inputs["domainName"]]


def _zone(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    name = f"{inputs['name'].rstrip('.')}."
    for item in lookup.items("route53", "list_hosted_zones", "HostedZones"):
        config = item.get("Config") or {}
        if item["Name"] == name and not config.get("PrivateZone") and config.get("Comment") == inputs.get("comment"):
            yield item["Id"].rpartition("/")[2]


def _record(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    zone, name, kind = inputs["zoneId"], inputs["name"].lower(), inputs["type"]
    items = lookup.items("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    names = {(item["Name"].rstrip(".").replace(r"\052", "*"), item["Type"]) for item in items}
    return [f"{zone}_{name}_{kind}"] if (name.rstrip("."), kind) in names else []


def _query_log(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("route53", "list_query_logging_configs", "QueryLoggingConfigs", HostedZoneId=inputs["zoneId"])
    return [item["Id"] for item in items]


def _listener(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=inputs["loadBalancerArn"])
    return [item["ListenerArn"] for item in items if item["Port"] == inputs["port"]]


def _listener_rule(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("elbv2", "describe_rules", "Rules", ListenerArn=inputs["listenerArn"])
    return [item["RuleArn"] for item in items if item["Priority"] == str(inputs["priority"])]


def _log_group(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    name, region = inputs["name"], inputs.get("region")
    items = lookup.items("logs", "describe_log_groups", "logGroups", region, logGroupNamePrefix=name)
    return [name for item in items if item["logGroupName"] == name]


def _scaling_policy(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    arguments = {"AutoScalingGroupName": inputs["autoscalingGroupName"], "PolicyNames": [inputs["name"]]}
    items = lookup.items("autoscaling", "describe_policies", "ScalingPolicies", **arguments)
    return [item["PolicyName"] for item in items]


def _topic(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("sns", "list_topics", "Topics")
    return [item["TopicArn"] for item in items if item["TopicArn"].endswith(f":{inputs['name']}")]


def _identity_provider(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList")
    url = inputs["url"].removeprefix("https://")
    return [item["Arn"] for item in items if item["Arn"].endswith(f":oidc-provider/{url}")]


def _role_policy(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    role, name = inputs["role"], inputs["name"]
    return [f"{role}:{name}" for _ in lookup.items("iam", "get_role_policy", RoleName=role, PolicyName=name)]


def _origin_access_control(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("cloudfront", "list_origin_access_controls", "OriginAccessControlList.Items")
    return [item["Id"] for item in items if item["Name"] == inputs["name"]]


def _response_headers_policy(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    key = "ResponseHeadersPolicyList.Items"
    policies = [
        item["ResponseHeadersPolicy"]
        for item in lookup.items("cloudfront", "list_response_headers_policies", key, Type="custom")
    ]
    return [policy["Id"] for policy in policies if policy["ResponseHeadersPolicyConfig"]["Name"] == inputs["name"]]


def _distribution(lookup: Lookup, inputs: Inputs) -> Iterable[str]:
    items = lookup.items("cloudfront", "list_distributions", "DistributionList.Items")
    aliases = set(inputs.get("aliases") or [])
    return [item["Id"] for item in items if set((item.get("Aliases") or {}).get("Items") or []) == aliases]


FINDERS: Mapping[str, Finder] = {
    "aws:acm/certificate:Certificate": _certificate,
    "aws:autoscaling/group:Group": _by_name(
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupNames",
        "AutoScalingGroupName",
    ),
    "aws:autoscaling/policy:Policy": _scaling_policy,
    "aws:cloudfront/distribution:Distribution": _distribution,
    "aws:cloudfront/originAccessControl:OriginAccessControl": _origin_access_control,
    "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy": _response_headers_policy,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _by_name(
        "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmNames", "AlarmName"
    ),
    "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": _in_ec2(
        "describe_egress_only_internet_gateways",
        "EgressOnlyInternetGateways",
        "EgressOnlyInternetGatewayId",
        {},
    ),
    "aws:ec2/eip:Eip": _in_ec2("describe_addresses", "Addresses", "AllocationId", {"domain": "domain"}),
    "aws:ec2/flowLog:FlowLog": _flow_log,
    "aws:ec2/internetGateway:InternetGateway": _in_ec2(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId", {}
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _by_name(
        "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateNames", "LaunchTemplateId"
    ),
    "aws:ec2/natGateway:NatGateway": _in_ec2(
        "describe_nat_gateways", "NatGateways", "NatGatewayId", {"subnet-id": "subnetId"}, "Filter"
    ),
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTable:RouteTable": _in_ec2(
        "describe_route_tables", "RouteTables", "RouteTableId", {"vpc-id": "vpcId"}
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _route_table_association,
    "aws:ec2/securityGroup:SecurityGroup": _in_ec2(
        "describe_security_groups", "SecurityGroups", "GroupId", {"vpc-id": "vpcId", "group-name": "name"}
    ),
    "aws:ec2/subnet:Subnet": _in_ec2(
        "describe_subnets", "Subnets", "SubnetId", {"vpc-id": "vpcId", "cidr-block": "cidrBlock"}
    ),
    "aws:ec2/vpc:Vpc": _in_ec2("describe_vpcs", "Vpcs", "VpcId", {"cidr": "cidrBlock"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _in_ec2(
        "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", {"vpc-id": "vpcId", "service-name": "serviceName"}
    ),
    "aws:iam/instanceProfile:InstanceProfile": _by_exact_name(
        "iam", "get_instance_profile", "InstanceProfileName", "name"
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _identity_provider,
    "aws:iam/role:Role": _by_exact_name("iam", "get_role", "RoleName", "name"),
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:kms/alias:Alias": _alias,
    "aws:kms/key:Key": _key,
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
    "aws:lb/loadBalancer:LoadBalancer": _by_name(
        "elbv2", "describe_load_balancers", "LoadBalancers", "Names", "LoadBalancerArn"
    ),
    "aws:lb/targetGroup:TargetGroup": _by_name(
        "elbv2", "describe_target_groups", "TargetGroups", "Names", "TargetGroupArn"
    ),
    "aws:rds/instance:Instance": _rds(
        "describe_db_instances", "DBInstances", "DBInstanceIdentifier", "identifier", "DbiResourceId"
    ),
    "aws:rds/parameterGroup:ParameterGroup": _rds(
        "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName", "name", "DBParameterGroupName"
    ),
    "aws:rds/subnetGroup:SubnetGroup": _rds(
        "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName", "name", "DBSubnetGroupName"
    ),
    "aws:route53/queryLog:QueryLog": _query_log,
    "aws:route53/record:Record": _record,
    "aws:route53/zone:Zone": _zone,
    "aws:s3/bucket:Bucket": _by_exact_name("s3", "head_bucket", "Bucket", "bucket"),
    "aws:sesv2/configurationSet:ConfigurationSet": _by_exact_name(
        "sesv2", "get_configuration_set", "ConfigurationSetName", "configurationSetName"
    ),
    "aws:sesv2/emailIdentity:EmailIdentity": _by_exact_name(
        "sesv2", "get_email_identity", "EmailIdentity", "emailIdentity"
    ),
    "aws:sns/topic:Topic": _topic,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _security_group_rule(is_egress=True),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _security_group_rule(is_egress=False),
}
