"""EC2: IPv6, flow logs, VPC endpoints and launch templates."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2

from sandbox.emulator.patches.hooks import Handler, gap, wrap
from sandbox.emulator.patches.query_protocol import decode, to_xml

FLOW_LOG_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} "
    "${bytes} ${start} ${end} ${action} ${log-status}"
)
FLOW_LOG_INTERVAL_SECONDS = 600
NOTHING = "none"  # an ID that nothing has
IPV6_ASSOCIATION_FILTER = "ipv6-cidr-block-association.association-id"


def create(original: Handler, parameters: Any, store: Any) -> tuple[Any, list[str]]:
    """Run an action; return its response and the ids that it added to a store."""
    before = set(store)
    response = original(parameters)
    return response, list(set(store) - before)


@gap
def ec2_routes_ipv6() -> None:
    """A route can lead an IPv6 range to an internet gateway or to an egress-only internet gateway."""

    def create_route(original: Handler, parameters: Any) -> Any:
        response = original(parameters)
        block = ec2._p(parameters, "DestinationIpv6CidrBlock")
        table = ec2._route_tables.get(ec2._p(parameters, "RouteTableId"))
        if table and block:
            route = table["Routes"][-1]
            route.pop("DestinationCidrBlock", None)
            route["DestinationIpv6CidrBlock"] = block
            if egress := ec2._p(parameters, "EgressOnlyInternetGatewayId"):
                route.pop("GatewayId", None)
                route["EgressOnlyInternetGatewayId"] = egress
        return response

    def delete_route(original: Handler, parameters: Any) -> Any:
        block = ec2._p(parameters, "DestinationIpv6CidrBlock")
        table = ec2._route_tables.get(ec2._p(parameters, "RouteTableId"))
        if not (block and table):
            return original(parameters)
        table["Routes"] = [route for route in table["Routes"] if route.get("DestinationIpv6CidrBlock") != block]
        return ec2._xml(200, "DeleteRouteResponse", "<return>true</return>")

    wrap(ec2, "_create_route", create_route)
    wrap(ec2, "_delete_route", delete_route)


def ipv6_association(block: str, association: str) -> str:
    """Return the IPv6 range of a VPC or subnet as EC2 describes it. association: its id."""
    item = {
        "ipv6CidrBlock": block,
        "associationId": association,
        "ipv6CidrBlockState": {"state": "associated"},
        "ipv6Pool": "Amazon",
        "networkBorderGroup": get_region(),
    }
    return to_xml({"ipv6CidrBlockAssociationSet": {"item": item}})


def vpc_association(vpc: str) -> str:
    """Return the id of a VPC's IPv6 association, which follows from the VPC's own id."""
    return f"vpc-cidr-assoc-6{vpc[5:]}"


@gap
def ec2_networks_have_ipv6() -> None:
    """A VPC gets an IPv6 /56 from Amazon's pool if it asks for one, and a subnet a /64 of it."""
    wrap(ec2, "_create_vpc", create_vpc)
    wrap(ec2, "_vpc_fields_xml", vpc_xml)
    wrap(ec2, "_matches_vpc_filters", matches_vpc_filters)
    wrap(ec2, "_create_subnet", create_subnet)
    wrap(ec2, "_modify_subnet_attribute", modify_subnet_attribute)
    wrap(ec2, "_subnet_fields_xml", subnet_xml)


def create_vpc(original: Handler, parameters: Any) -> Any:
    """Give a new VPC an IPv6 range that follows from its id."""
    response, vpcs = create(original, parameters, ec2._vpcs)
    if ec2._p(parameters, "AmazonProvidedIpv6CidrBlock") != "true":
        return response
    for vpc in vpcs:
        ec2._vpcs[vpc]["Ipv6Block"] = f"2600:1f18:{int(vpc[-8:-4], 16):x}:{int(vpc[-4:-2], 16):x}00::/56"
        return ec2._xml(200, "CreateVpcResponse", ec2._vpc_fields_xml(ec2._vpcs[vpc], tag="vpc"))
    return response


def vpc_xml(original: Handler, vpc: Any, tag: str = "item") -> Any:
    """Describe a VPC with its IPv6 range."""
    text = original(vpc, tag)
    if not vpc.get("Ipv6Block"):
        return text
    association = ipv6_association(vpc["Ipv6Block"], vpc_association(vpc["VpcId"]))
    return text.replace("<dhcpOptionsId>", f"{association}<dhcpOptionsId>", 1)


def matches_vpc_filters(original: Handler, vpc: Any, filters: Any) -> Any:
    """Apply the filter for an IPv6 association, and ministack's own filters."""
    associations = filters.get(IPV6_ASSOCIATION_FILTER)
    if associations and not (vpc.get("Ipv6Block") and vpc_association(vpc["VpcId"]) in associations):
        return False
    return original(vpc, {name: values for name, values in filters.items() if name != IPV6_ASSOCIATION_FILTER})


def create_subnet(original: Handler, parameters: Any) -> Any:
    """Store the IPv6 range of a new subnet."""
    response, subnets = create(original, parameters, ec2._subnets)
    block = ec2._p(parameters, "Ipv6CidrBlock")
    for subnet in subnets if block else ():
        ec2._subnets[subnet]["Ipv6Block"] = block
        return ec2._xml(200, "CreateSubnetResponse", ec2._subnet_fields_xml(ec2._subnets[subnet], tag="subnet"))
    return response


def modify_subnet_attribute(original: Handler, parameters: Any) -> Any:
    """Store whether a subnet's network interfaces get an IPv6 address."""
    subnet = ec2._subnets.get(ec2._p(parameters, "SubnetId"))
    value = ec2._p(parameters, "AssignIpv6AddressOnCreation.Value")
    if subnet is not None and value:
        subnet["AssignIpv6"] = value == "true"
    return original(parameters)


def subnet_xml(original: Handler, subnet: Any, tag: str = "item") -> Any:
    """Describe a subnet with its IPv6 range."""
    text = original(subnet, tag)
    if subnet.get("AssignIpv6"):
        text = text.replace("<assignIpv6AddressOnCreation>false<", "<assignIpv6AddressOnCreation>true<")
    if not subnet.get("Ipv6Block"):
        return text
    association = ipv6_association(subnet["Ipv6Block"], f"subnet-cidr-assoc-6{subnet['SubnetId'][8:]}")
    return text.replace("<enableDns64>", f"{association}<enableDns64>", 1)


@gap
def ec2_flow_logs_keep_their_settings() -> None:
    """A flow log keeps its role, interval and format. The resource type of its tags is called vpc-flow-log."""

    def with_known_tag_type(key: str, value: Any) -> Any:
        return ["flow-log"] if key.startswith("TagSpecification") and key.endswith(".ResourceType") else value

    def create_flow_logs(original: Handler, parameters: Any) -> Any:
        request = {key: with_known_tag_type(key, value) for key, value in parameters.items()}
        response, flow_logs = create(original, request, ec2._flow_logs)
        for flow_log in flow_logs:
            ec2._flow_logs[flow_log].update(
                Role=ec2._p(parameters, "DeliverLogsPermissionArn"),
                Interval=ec2._p(parameters, "MaxAggregationInterval") or FLOW_LOG_INTERVAL_SECONDS,
                Format=ec2._p(parameters, "LogFormat") or FLOW_LOG_FORMAT,
            )
        return response

    def describe_flow_logs(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def add_settings(match: re.Match[str]) -> str:
            flow_log = ec2._flow_logs.get(match[1]) or {}
            settings = {
                "deliverLogsPermissionArn": flow_log.get("Role", ""),
                "maxAggregationInterval": flow_log.get("Interval", FLOW_LOG_INTERVAL_SECONDS),
                "logFormat": flow_log.get("Format", ""),
            }
            return match[0] + to_xml(settings)

        return status, headers, re.sub(r"<flowLogId>([^<]+)</flowLogId>", add_settings, decode(body)).encode()

    wrap(ec2, "_create_flow_logs", create_flow_logs)
    wrap(ec2, "_describe_flow_logs", describe_flow_logs)


@gap
def ec2_endpoints_keep_their_settings() -> None:
    """An interface endpoint keeps its private DNS setting and its security groups."""

    def create_endpoint(original: Handler, parameters: Any) -> Any:
        response, endpoints = create(original, parameters, ec2._vpc_endpoints)
        for endpoint in endpoints:
            ec2._vpc_endpoints[endpoint].update(
                PrivateDns=ec2._p(parameters, "PrivateDnsEnabled") == "true",
                Groups=ec2._parse_member_list(parameters, "SecurityGroupId"),
            )
        return response

    def endpoint_xml(original: Handler, endpoint: Any, tag: str = "item") -> Any:
        groups = "".join(to_xml({"item": {"groupId": group}}) for group in endpoint.get("Groups", []))
        private_dns = to_xml({"privateDnsEnabled": bool(endpoint.get("PrivateDns"))})
        settings = f"{private_dns}<groupSet>{groups}</groupSet>"
        return original(endpoint, tag).replace("<routeTableIdSet>", f"{settings}<routeTableIdSet>", 1)

    wrap(ec2, "_create_vpc_endpoint", create_endpoint)
    wrap(ec2, "_vpce_fields_xml", endpoint_xml)


@gap
def ec2_launch_templates_keep_the_disk_key() -> None:
    """A launch template keeps the KMS key of its encrypted disks."""

    def versions() -> dict[tuple[str, int], Any]:
        return {
            (template, version["VersionNumber"]): version["LaunchTemplateData"]
            for template, content in ec2._launch_templates.items()
            for version in content["Versions"]
        }

    def create_version(original: Handler, parameters: Any) -> Any:
        before = set(versions())
        response = original(parameters)
        for identity, data in versions().items():
            if identity in before:
                continue
            for index, mapping in enumerate(data.get("BlockDeviceMappings") or [], 1):
                key = ec2._p(parameters, f"LaunchTemplateData.BlockDeviceMapping.{index}.Ebs.KmsKeyId")
                if key and "Ebs" in mapping:
                    mapping["Ebs"]["KmsKeyId"] = key
        return response

    def version_xml(original: Handler, data: Any) -> Any:
        disks = [mapping["Ebs"] for mapping in data.get("BlockDeviceMappings") or [] if "Ebs" in mapping]
        keys = iter([disk.get("KmsKeyId") for disk in disks])
        # ministack writes one <ebs> for each disk, in the same order.
        return re.sub("<ebs>", lambda _: f"<ebs>{to_xml({'kmsKeyId': next(keys) or None})}", original(data))

    for name in ("_create_launch_template", "_create_launch_template_version"):
        wrap(ec2, name, create_version)
    wrap(ec2, "_lt_data_xml", version_xml)


@gap
def ec2_rules_for_all_protocols_have_no_ports() -> None:
    """A rule for all protocols has no ports, whatever a request says, so a group can lose its default rule."""

    def parse(original: Handler, *arguments: Any) -> Any:
        rules = original(*arguments)
        for rule in rules:
            if rule["IpProtocol"] == "-1":
                rule.pop("FromPort", None)
                rule.pop("ToPort", None)
        return rules

    wrap(ec2, "_parse_ip_permissions", parse)


@gap
def ec2_describes_by_filter() -> None:
    """Addresses, VPC endpoints and egress-only internet gateways can be described by their tags and other fields."""
    stores = {
        "_describe_addresses": (ec2._addresses, "AllocationId", {"domain": "Domain"}),
        "_describe_vpc_endpoints": (
            ec2._vpc_endpoints,
            "VpcEndpointId",
            {"vpc-id": "VpcId", "service-name": "ServiceName"},
        ),
        "_describe_egress_only_igws": (ec2._egress_igws, "EgressOnlyInternetGatewayId", {}),
    }
    for action, (store, key, fields) in stores.items():
        wrap(ec2, action, _by_filter(store, key, fields))


def _by_filter(store: Any, key: str, fields: Mapping[str, str]) -> Handler:
    """Return a wrapper that makes an action describe only what its filters select.

    store: all items by ID. key: the field and parameter of the ID. fields: the field that each filter refers to.
    """

    def is_selected(item: Any, filters: Mapping[str, Sequence[str]]) -> bool:
        wanted = {fields[name]: values for name, values in filters.items() if name in fields}
        is_equal = all(str(item[field]) in values for field, values in wanted.items())
        return is_equal and ec2._resource_matches_tag_filters(item[key], filters)

    def describe(original: Handler, parameters: Any) -> Any:
        filters = ec2._parse_filters(parameters)
        if not filters:
            return original(parameters)
        requested = ec2._parse_member_list(parameters, key)
        selected = [item[key] for item in store.values() if is_selected(item, filters)]
        ids = [id_ for id_ in selected if not requested or id_ in requested] or [NOTHING]
        others = {name: value for name, value in parameters.items() if not name.startswith(f"{key}.")}
        return original({**others, **{f"{key}.{number}": [id_] for number, id_ in enumerate(ids, start=1)}})

    return describe
