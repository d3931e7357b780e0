"""The gaps of ministack 1.5.33 that Terraform's AWS provider 5.100 meets, each closed by one function.

`apply()` runs them all before the server starts. A function's docstring says what AWS does and the emulator does not;
`docs/emulator.md` is the list of them for users. Values that reach AWS are never changed here.
"""

# ministack's handlers are untyped and take what their service's protocol gives them, hence `Any` throughout.
import base64
import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

from hypercorn.config import Config
from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict, get_account_id, get_region, json_response, new_uuid, now_iso
from ministack.services import alb, autoscaling, cloudfront, cloudwatch, ec2, rds, route53, ses_v2

Handler = Callable[..., Any]
GAPS: list[Callable[[], None]] = []


def gap(function: Callable[[], None]) -> Callable[[], None]:
    """Register a function that closes a gap."""
    GAPS.append(function)
    return function


def apply() -> None:
    """Close every gap."""
    for close in GAPS:
        close()


def wrap(module: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace module.name by wrapper(original, *arguments), in the module's table of actions too."""
    original = getattr(module, name)

    def replacement(*arguments: Any, **named: Any) -> Any:
        return wrapper(original, *arguments, **named)

    setattr(module, name, replacement)
    actions = getattr(module, "_ACTION_MAP", {})
    for action, handler in list(actions.items()):
        if handler is original:
            actions[action] = replacement


def numbered(parameters: Any, prefix: str, get: Callable[[Any, str], Any]) -> list[str]:
    """Return the values of `prefix.1`, `prefix.2` and so on of a Query request."""
    found: list[str] = []
    while value := get(parameters, f"{prefix}.{len(found) + 1}"):
        found.append(value)
    return found


def to_xml(value: Any) -> str:
    """Return a value as the Query protocol writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "".join(f"<{key}>{to_xml(inner)}</{key}>" for key, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return "".join(f"<member>{to_xml(inner)}</member>" for inner in value)
    return escape(str(value))


def text_of(body: bytes | str) -> str:
    """Return a response's body as text."""
    return body.decode() if isinstance(body, bytes) else body


@gap
def connections_are_kept() -> None:
    """AWS does not close a busy connection. Hypercorn does after 1,000 requests or 5 idle seconds, the AWS SDK then sends a request twice, and a create that is not idempotent fails ("record already exists")."""
    Config.keep_alive_max_requests = 10**9
    Config.keep_alive_timeout = 3600.0


@gap
def rds_filters_by_resource_id() -> None:
    """DescribeDBInstances takes the filter dbi-resource-id, by which the provider finds an instance."""

    def filtered(original: Handler, instances: Any, filters: Any) -> Any:
        found, wanted = original(instances, filters), filters.get("dbi-resource-id")
        return [i for i in found if i.get("DbiResourceId") in wanted] if wanted else found

    wrap(rds, "_apply_instance_filters", filtered)


@gap
def rds_manages_the_master_password() -> None:
    """With ManageMasterUserPassword AWS keeps the password in a secret of its own and names it in MasterUserSecret."""

    def managed(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier"))
        if instance is not None and rds._p(parameters, "ManageMasterUserPassword") == "true":
            instance.setdefault("MasterUserSecret", f"arn:aws:secretsmanager:{get_region()}:{get_account_id()}:secret:rds!db-{new_uuid()}")
            instance["MasterUserSecretKmsKeyId"] = rds._p(parameters, "MasterUserSecretKmsKeyId") or instance.get("MasterUserSecretKmsKeyId", "")
        return reply

    def shown(original: Handler, instance: Any) -> Any:
        more = ""
        if instance.get("MasterUserSecret"):
            key = instance["MasterUserSecretKmsKeyId"]
            more = f"<MasterUserSecret><SecretArn>{instance['MasterUserSecret']}</SecretArn><SecretStatus>active</SecretStatus><KmsKeyId>{key}</KmsKeyId></MasterUserSecret>"
        return original(instance) + more

    for name in ("_create_db_instance", "_modify_db_instance"):
        wrap(rds, name, managed)
    wrap(rds, "_instance_xml", shown)


@gap
def rds_keeps_the_insights_key() -> None:
    """An instance keeps the KMS key that its Performance Insights are encrypted with."""

    def kept(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        instance, key = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier")), rds._p(parameters, "PerformanceInsightsKMSKeyId")
        if instance is not None and key:
            instance["InsightsKey"] = key
        return reply

    def shown(original: Handler, instance: Any) -> Any:
        key = instance.get("InsightsKey")
        return original(instance) + (f"<PerformanceInsightsKMSKeyId>{key}</PerformanceInsightsKMSKeyId>" if key else "")

    for name in ("_create_db_instance", "_modify_db_instance"):
        wrap(rds, name, kept)
    wrap(rds, "_instance_xml", shown)


@gap
def rds_exports_logs() -> None:
    """An instance keeps which of its logs go to CloudWatch (EnabledCloudwatchLogsExports)."""

    def exported(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        instance = rds._instances.get(rds._p(parameters, "DBInstanceIdentifier"))
        if instance is not None:
            on = numbered(parameters, "EnableCloudwatchLogsExports.member", rds._p) + numbered(parameters, "CloudwatchLogsExportConfiguration.EnableLogTypes.member", rds._p)
            off = numbered(parameters, "CloudwatchLogsExportConfiguration.DisableLogTypes.member", rds._p)
            instance["EnabledCloudwatchLogsExports"] = sorted((set(instance.get("EnabledCloudwatchLogsExports") or []) | set(on)) - set(off))
        return reply

    def shown(original: Handler, instance: Any) -> Any:
        names = "".join(f"<member>{name}</member>" for name in instance.get("EnabledCloudwatchLogsExports") or [])
        return original(instance).replace("<EnabledCloudwatchLogsExports/>", f"<EnabledCloudwatchLogsExports>{names}</EnabledCloudwatchLogsExports>")

    for name in ("_create_db_instance", "_modify_db_instance"):
        wrap(rds, name, exported)
    wrap(rds, "_instance_xml", shown)


ALARM_FIELDS = [
    "AlarmName",
    "AlarmArn",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "StateValue",
    "StateReason",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
    "AlarmRule",
]


@gap
def cloudwatch_describes_alarms_whole() -> None:
    """DescribeAlarms in the Query protocol returns every field of an alarm; the emulator leaves most out."""

    def has(alarm: Any, field: str) -> bool:
        return alarm.get(field) not in (None, "", []) and not (alarm.get("Metrics") and field in {"Period", "Statistic", "Unit"})

    def described(original: Handler, parameters: Any, cbor: Any, is_cbor: Any, is_json: Any = False) -> Any:
        names = set(numbered(parameters, "AlarmNames.member", cloudwatch._p))
        if is_cbor or is_json or not names:
            return original(parameters, cbor, is_cbor, is_json)

        def pick(alarms: Any) -> str:
            return "".join("<member>" + to_xml({f: alarm[f] for f in ALARM_FIELDS if has(alarm, f)}) + "</member>" for name, alarm in alarms.items() if name in names)

        found = f"<CompositeAlarms>{pick(cloudwatch._composite_alarms)}</CompositeAlarms><MetricAlarms>{pick(cloudwatch._alarms)}</MetricAlarms>"
        return cloudwatch._xml(200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{found}</DescribeAlarmsResult>")

    wrap(cloudwatch, "_describe_alarms", described)


@gap
def ec2_routes_ipv6() -> None:
    """A route can lead an IPv6 range to an internet gateway or to an egress-only one."""

    def created(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        v6, table = ec2._p(parameters, "DestinationIpv6CidrBlock"), ec2._route_tables.get(ec2._p(parameters, "RouteTableId"))
        if table and v6:
            route = table["Routes"][-1]
            route.pop("DestinationCidrBlock", None)
            route["DestinationIpv6CidrBlock"] = v6
            if egress := ec2._p(parameters, "EgressOnlyInternetGatewayId"):
                route.pop("GatewayId", None)
                route["EgressOnlyInternetGatewayId"] = egress
        return reply

    def deleted(original: Handler, parameters: Any) -> Any:
        v6, table = ec2._p(parameters, "DestinationIpv6CidrBlock"), ec2._route_tables.get(ec2._p(parameters, "RouteTableId"))
        if not (v6 and table):
            return original(parameters)
        table["Routes"] = [route for route in table["Routes"] if route.get("DestinationIpv6CidrBlock") != v6]
        return ec2._xml(200, "DeleteRouteResponse", "<return>true</return>")

    wrap(ec2, "_create_route", created)
    wrap(ec2, "_delete_route", deleted)


@gap
def ec2_networks_have_ipv6() -> None:
    """A VPC gets a /56 of IPv6 from Amazon where it asks for one, and a subnet a /64 of it."""

    def associated(tag: str, block: str, identity: str, state: str) -> str:
        inner = f"<ipv6CidrBlock>{block}</ipv6CidrBlock><associationId>{identity}</associationId><{state}><state>associated</state></{state}>"
        return f"<{tag}><item>{inner}<ipv6Pool>Amazon</ipv6Pool><networkBorderGroup>{get_region()}</networkBorderGroup></item></{tag}>"

    def identity_of(vpc: str) -> str:
        return f"vpc-cidr-assoc-6{vpc[5:]}"

    def vpc_created(original: Handler, parameters: Any) -> Any:
        before = set(ec2._vpcs)
        reply = original(parameters)
        if ec2._p(parameters, "AmazonProvidedIpv6CidrBlock") != "true":
            return reply
        for new in set(ec2._vpcs) - before:
            ec2._vpcs[new]["Ipv6Block"] = f"2600:1f18:{int(new[-8:-4], 16):x}:{int(new[-4:-2], 16):x}00::/56"
            return ec2._xml(200, "CreateVpcResponse", ec2._vpc_fields_xml(ec2._vpcs[new], tag="vpc"))
        return reply

    def vpc_shown(original: Handler, vpc: Any, tag: str = "item") -> Any:
        text = original(vpc, tag)
        if not vpc.get("Ipv6Block"):
            return text
        more = associated("ipv6CidrBlockAssociationSet", vpc["Ipv6Block"], identity_of(vpc["VpcId"]), "ipv6CidrBlockState")
        return text.replace("<dhcpOptionsId>", more + "<dhcpOptionsId>", 1)

    def vpc_matched(original: Handler, vpc: Any, filters: Any) -> Any:
        wanted = filters.get("ipv6-cidr-block-association.association-id")
        rest = {name: values for name, values in filters.items() if name != "ipv6-cidr-block-association.association-id"}
        return (not wanted or (bool(vpc.get("Ipv6Block")) and identity_of(vpc["VpcId"]) in wanted)) and original(vpc, rest)

    def subnet_created(original: Handler, parameters: Any) -> Any:
        before = set(ec2._subnets)
        reply, block = original(parameters), ec2._p(parameters, "Ipv6CidrBlock")
        for new in (set(ec2._subnets) - before) if block else ():
            ec2._subnets[new]["Ipv6Block"] = block
            return ec2._xml(200, "CreateSubnetResponse", ec2._subnet_fields_xml(ec2._subnets[new], tag="subnet"))
        return reply

    def subnet_changed(original: Handler, parameters: Any) -> Any:
        subnet = ec2._subnets.get(ec2._p(parameters, "SubnetId"))
        wanted = ec2._p(parameters, "AssignIpv6AddressOnCreation.Value")
        if subnet is not None and wanted:
            subnet["AssignIpv6"] = wanted == "true"
        return original(parameters)

    def subnet_shown(original: Handler, subnet: Any, tag: str = "item") -> Any:
        text = original(subnet, tag)
        if subnet.get("AssignIpv6"):
            text = text.replace("<assignIpv6AddressOnCreation>false<", "<assignIpv6AddressOnCreation>true<")
        if not subnet.get("Ipv6Block"):
            return text
        more = associated("ipv6CidrBlockAssociationSet", subnet["Ipv6Block"], f"subnet-cidr-assoc-6{subnet['SubnetId'][8:]}", "ipv6CidrBlockState")
        return text.replace("<enableDns64>", more + "<enableDns64>", 1)

    wrap(ec2, "_create_vpc", vpc_created)
    wrap(ec2, "_vpc_fields_xml", vpc_shown)
    wrap(ec2, "_matches_vpc_filters", vpc_matched)
    wrap(ec2, "_create_subnet", subnet_created)
    wrap(ec2, "_modify_subnet_attribute", subnet_changed)
    wrap(ec2, "_subnet_fields_xml", subnet_shown)


@gap
def ec2_flow_logs_keep_their_settings() -> None:
    """A flow log keeps its role, its interval and its format; AWS names the resource type of its tags vpc-flow-log."""

    def created(original: Handler, parameters: Any) -> Any:
        before = set(ec2._flow_logs)
        reply = original({key: ["flow-log"] if key.startswith("TagSpecification") and key.endswith(".ResourceType") else value for key, value in parameters.items()})
        for new in set(ec2._flow_logs) - before:
            ec2._flow_logs[new].update(
                Role=ec2._p(parameters, "DeliverLogsPermissionArn"),
                Interval=ec2._p(parameters, "MaxAggregationInterval") or 600,
                Format=ec2._p(parameters, "LogFormat")
                or "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}",
            )
        return reply

    def described(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def more(match: re.Match[str]) -> str:
            log = ec2._flow_logs.get(match[1]) or {}
            role, interval, layout = log.get("Role", ""), log.get("Interval", 600), escape(log.get("Format", ""))
            return (
                f"{match[0]}<deliverLogsPermissionArn>{role}</deliverLogsPermissionArn><maxAggregationInterval>{interval}</maxAggregationInterval><logFormat>{layout}</logFormat>"
            )

        return status, headers, re.sub(r"<flowLogId>([^<]+)</flowLogId>", more, text_of(body)).encode()

    wrap(ec2, "_create_flow_logs", created)
    wrap(ec2, "_describe_flow_logs", described)


@gap
def ec2_endpoints_keep_their_settings() -> None:
    """An interface endpoint keeps its private DNS setting and its security groups."""

    def created(original: Handler, parameters: Any) -> Any:
        before = set(ec2._vpc_endpoints)
        reply = original(parameters)
        for new in set(ec2._vpc_endpoints) - before:
            ec2._vpc_endpoints[new].update(PrivateDns=ec2._p(parameters, "PrivateDnsEnabled") == "true", Groups=ec2._parse_member_list(parameters, "SecurityGroupId"))
        return reply

    def shown(original: Handler, endpoint: Any, tag: str = "item") -> Any:
        groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in endpoint.get("Groups", []))
        more = f"<privateDnsEnabled>{to_xml(bool(endpoint.get('PrivateDns')))}</privateDnsEnabled><groupSet>{groups}</groupSet>"
        return original(endpoint, tag).replace("<routeTableIdSet>", more + "<routeTableIdSet>", 1)

    wrap(ec2, "_create_vpc_endpoint", created)
    wrap(ec2, "_vpce_fields_xml", shown)


@gap
def ec2_launch_templates_keep_the_disk_key() -> None:
    """A launch template keeps the KMS key of its encrypted disks."""

    def created(original: Handler, parameters: Any) -> Any:
        before = {(template, version["VersionNumber"]) for template, data in ec2._launch_templates.items() for version in data["Versions"]}
        reply = original(parameters)
        for template, data in ec2._launch_templates.items():
            for version in data["Versions"]:
                if (template, version["VersionNumber"]) in before:
                    continue
                for index, mapping in enumerate(version["LaunchTemplateData"].get("BlockDeviceMappings") or [], 1):
                    key = ec2._p(parameters, f"LaunchTemplateData.BlockDeviceMapping.{index}.Ebs.KmsKeyId")
                    if key and "Ebs" in mapping:
                        mapping["Ebs"]["KmsKeyId"] = key
        return reply

    def shown(original: Handler, data: Any) -> Any:
        keys = iter(mapping["Ebs"].get("KmsKeyId") for mapping in data.get("BlockDeviceMappings") or [] if "Ebs" in mapping)
        return re.sub("<ebs>", lambda _: "<ebs>" + (f"<kmsKeyId>{key}</kmsKeyId>" if (key := next(keys)) else ""), original(data))

    for name in ("_create_launch_template", "_create_launch_template_version"):
        wrap(ec2, name, created)
    wrap(ec2, "_lt_data_xml", shown)


@gap
def cloudfront_headers_policies_say_nothing_of_nothing() -> None:
    """A response headers policy without custom or removed headers has no element for them."""

    async def handled(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        status, response_headers, out = await original(method, path, headers, body, query)
        if "response-headers-policy" in path and isinstance(out, bytes):
            out = re.sub(rb"<(Custom|Remove)HeadersConfig><Quantity>0</Quantity></\1HeadersConfig>", b"", out)
        return status, response_headers, out

    wrap(cloudfront, "handle_request", handled)


def set_members(field: str, prefix: str, *, add: bool) -> Handler:
    """Return an Auto Scaling action that adds to a group's list, or removes from it."""

    def act(parameters: Any) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        if group is None:
            return autoscaling._error("ValidationError", "AutoScalingGroup name not found")
        given, have = set(autoscaling._parse_member_list(parameters, prefix)), set(group.get(field) or [])
        group[field] = sorted(have | given) if add else sorted(have - given if given else set())
        action = autoscaling._p(parameters, "Action")
        return autoscaling._xml(200, action + "Response", f"<{action}Result/>")

    return act


@gap
def autoscaling_attaches_target_groups() -> None:
    """A group knows its target groups, from its creation and from Attach and Detach, and says that they are in service."""

    def listed(parameters: Any) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName")) or {}
        items = "".join(f"<member><LoadBalancerTargetGroupARN>{arn}</LoadBalancerTargetGroupARN><State>InService</State></member>" for arn in group.get("TargetGroupARNs") or [])
        result = f"<DescribeLoadBalancerTargetGroupsResult><LoadBalancerTargetGroups>{items}</LoadBalancerTargetGroups></DescribeLoadBalancerTargetGroupsResult>"
        return autoscaling._xml(200, "DescribeLoadBalancerTargetGroupsResponse", result)

    def created(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        if group is not None and reply[0] < 300:  # noqa: PLR2004 an HTTP status
            group["TargetGroupARNs"] = autoscaling._parse_member_list(parameters, "TargetGroupARNs")
        return reply

    autoscaling._ACTION_MAP.update(
        AttachLoadBalancerTargetGroups=set_members("TargetGroupARNs", "TargetGroupARNs", add=True),
        DetachLoadBalancerTargetGroups=set_members("TargetGroupARNs", "TargetGroupARNs", add=False),
        AttachTrafficSources=set_members("TargetGroupARNs", "TrafficSources", add=True),
        DescribeLoadBalancerTargetGroups=listed,
    )
    wrap(autoscaling, "_create_asg", created)


@gap
def autoscaling_collects_metrics() -> None:
    """A group knows which of its metrics are collected."""
    autoscaling._ACTION_MAP.update(
        EnableMetricsCollection=set_members("Metrics", "Metrics", add=True),
        DisableMetricsCollection=set_members("Metrics", "Metrics", add=False),
    )


@gap
def autoscaling_describes_target_groups_and_metrics() -> None:
    """DescribeAutoScalingGroups returns a group's target groups and enabled metrics."""

    def described(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def more(match: re.Match[str]) -> str:
            group = autoscaling._asgs.get(match[1]) or {}
            metrics = "".join(f"<member><Metric>{metric}</Metric><Granularity>1Minute</Granularity></member>" for metric in group.get("Metrics") or [])
            targets = to_xml(group.get("TargetGroupARNs") or [])
            return f"<AutoScalingGroupName>{match[1]}</AutoScalingGroupName><TargetGroupARNs>{targets}</TargetGroupARNs><EnabledMetrics>{metrics}</EnabledMetrics><AutoScalingGroupARN>"

        return status, headers, re.sub(r"<AutoScalingGroupName>([^<]+)</AutoScalingGroupName><AutoScalingGroupARN>", more, text_of(body)).encode()

    wrap(autoscaling, "_describe_asgs", described)


@gap
def autoscaling_changes_the_launch_template() -> None:
    """UpdateAutoScalingGroup takes a new launch template version."""

    def updated(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        template = autoscaling._p(parameters, "LaunchTemplate.LaunchTemplateId") or autoscaling._p(parameters, "LaunchTemplate.LaunchTemplateName")
        if group is not None and template:
            group["LaunchTemplate"] = {"LaunchTemplateId": template, "LaunchTemplateName": template, "Version": autoscaling._p(parameters, "LaunchTemplate.Version") or "$Default"}
        return reply

    wrap(autoscaling, "_update_asg", updated)


@gap
def autoscaling_keeps_rebalancing_and_warm_up() -> None:
    """A group keeps whether it replaces servers at risk before they end, and how long a new one warms up."""
    fields = ("CapacityRebalance", "DefaultInstanceWarmup")

    def kept(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        if group is not None:
            group.update({field: autoscaling._p(parameters, field) for field in fields if autoscaling._p(parameters, field)})
        return reply

    def described(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def more(match: re.Match[str]) -> str:
            group = autoscaling._asgs.get(match[1]) or {}
            return match[0] + "".join(f"<{field}>{group[field]}</{field}>" for field in fields if field in group)

        return status, headers, re.sub(r"<AutoScalingGroupName>([^<]+)</AutoScalingGroupName>(?=<TargetGroupARNs>)", more, text_of(body)).encode()

    for name in ("_create_asg", "_update_asg"):
        wrap(autoscaling, name, kept)
    wrap(autoscaling, "_describe_asgs", described)


REFRESH_SECONDS = 4  # AWS takes minutes; long enough here to be seen under way
FAILING_VARIABLE = "SANDBOX_SERVERS_FAIL"


def fails_to_start(template: Any) -> bool:
    """Tell whether servers of a launch template are to fail here: FAILING_VARIABLE of their container is `yes`, or names their environment."""
    versions = (ec2._launch_templates.get(template.get("LaunchTemplateId")) or {}).get("Versions") or []
    data: Any = next((version["LaunchTemplateData"] for version in versions if str(version["VersionNumber"]) == str(template.get("Version"))), {})
    script = base64.b64decode(data.get("UserData") or "").decode(errors="replace")
    for text in re.findall(r"echo ([A-Za-z0-9+/=]+) \| base64 -d", script):
        variables = dict(line.split("=", 1) for line in base64.b64decode(text).decode(errors="replace").splitlines() if "=" in line)
        if variables.get(FAILING_VARIABLE) in {"yes", variables.get("ENVIRONMENT", "yes")}:
            return True
    return False


def settle(group: Any) -> None:
    """End a refresh whose time has come: with new servers of the new template, or with what ran before where those fail."""
    refresh = next(iter(group.get("InstanceRefreshes") or []), None)
    if refresh is None or refresh["Status"] != "InProgress" or time.time() < refresh["Ends"]:
        return
    refresh.update(EndTime=now_iso(), PercentageComplete=100)
    before = group.get("TemplateBefore")
    if before and fails_to_start(group["LaunchTemplate"]):
        refresh.update(Status="RollbackSuccessful", StatusReason="Instances failed their health checks; the group runs what it ran before")
        group["LaunchTemplate"] = before
        return
    refresh.update(Status="Successful", StatusReason="")
    group["Instances"].clear()
    autoscaling._reconcile_instances(group)


@gap
def autoscaling_replaces_servers() -> None:
    """An instance refresh takes its time, replaces every server, and takes the deployment back where the new servers fail (a release with the environment variable SANDBOX_SERVERS_FAIL, of yes or of an environment's name, rehearses that)."""

    def settled(original: Handler, parameters: Any) -> Any:
        for group in autoscaling._asgs.values():
            settle(group)
        return original(parameters)

    def updated(original: Handler, parameters: Any) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName")) or {}
        before = group.get("LaunchTemplate")
        reply = original(parameters)
        if group.get("LaunchTemplate") != before:
            group["TemplateBefore"] = before
        return reply

    def started(original: Handler, parameters: Any) -> Any:
        reply = original(parameters)
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        if group is not None:
            refresh = group["InstanceRefreshes"][0]
            refresh.update(Status="InProgress", StatusReason="", EndTime="", PercentageComplete=0, InstancesToUpdate=len(group["Instances"]), Ends=time.time() + REFRESH_SECONDS)
        return reply

    def described(parameters: Any) -> Any:
        group = autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))
        if group is None:
            return autoscaling._error("ValidationError", "AutoScalingGroup name not found")
        settle(group)
        wanted = autoscaling._parse_member_list(parameters, "InstanceRefreshIds")
        found = [refresh for refresh in group.get("InstanceRefreshes") or [] if not wanted or refresh["InstanceRefreshId"] in wanted]
        fields = ("InstanceRefreshId", "AutoScalingGroupName", "Status", "StatusReason", "StartTime", "EndTime", "PercentageComplete", "InstancesToUpdate")
        shown = [{field: refresh[field] for field in fields if refresh.get(field) not in {None, ""}} for refresh in found[: int(autoscaling._p(parameters, "MaxRecords") or 50)]]
        result = f"<DescribeInstanceRefreshesResult><InstanceRefreshes>{to_xml(shown)}</InstanceRefreshes></DescribeInstanceRefreshesResult>"
        return autoscaling._xml(200, "DescribeInstanceRefreshesResponse", result)

    wrap(autoscaling, "_describe_asgs", settled)
    wrap(autoscaling, "_update_asg", updated)
    wrap(autoscaling, "_start_instance_refresh", started)
    autoscaling._ACTION_MAP["DescribeInstanceRefreshes"] = described


@gap
def balancer_knows_the_health_of_a_groups_servers() -> None:
    """The servers of a group are targets of its target groups, healthy or not (DescribeTargetHealth)."""

    def described(original: Handler, parameters: Any) -> Any:
        arn = alb._p(parameters, "TargetGroupArn")
        servers = [server for group in autoscaling._asgs.values() if arn in (group.get("TargetGroupARNs") or []) for server in group["Instances"]]
        known = {target["Id"] for target in alb._targets.get(arn, [])}
        added = [{"Id": server["InstanceId"]} for server in servers if server["InstanceId"] not in known]
        if arn not in alb._tgs or not added:
            return original(parameters)
        registered = alb._targets.get(arn, [])
        alb._targets[arn] = [*registered, *added]
        try:
            status, headers, body = original(parameters)
        finally:
            alb._targets[arn] = registered
        failing = {server["InstanceId"] for server in servers if fails_to_start(server.get("LaunchTemplate") or {})}

        def told(match: re.Match[str]) -> str:
            return match[0].replace("<State>healthy</State>", "<State>unhealthy</State>") if match[1] in failing else match[0]

        return status, headers, re.sub(r"<Target><Id>([^<]+)</Id>.*?</TargetHealth>", told, text_of(body)).encode()

    wrap(alb, "_describe_target_health", described)


@gap
def autoscaling_finds_policies_by_name() -> None:
    """DescribePolicies returns only the policies asked for."""

    def described(original: Handler, parameters: Any) -> Any:
        names = set(autoscaling._parse_member_list(parameters, "PolicyNames"))
        if not names:
            return original(parameters)
        everything = autoscaling._policies
        autoscaling._policies = {key: policy for key, policy in everything.items() if policy["PolicyName"] in names}
        try:
            return original(parameters)
        finally:
            autoscaling._policies = everything

    wrap(autoscaling, "_describe_policies", described)


@gap
def balancer_tcp_checks_have_no_path() -> None:
    """The health check of a TCP target group has neither a path nor a matcher."""

    def shown(original: Handler, group: Any) -> Any:
        text = original(group)
        return re.sub(r"<HealthCheckPath>.*?</HealthCheckPath>|<Matcher>.*?</Matcher>", "", text) if group.get("HealthCheckProtocol") in {"TCP", "TLS"} else text

    wrap(alb, "_tg_xml", shown)


@gap
def balancer_listeners_take_more_certificates() -> None:
    """A listener takes certificates beside its first (Add-, Remove-, DescribeListenerCertificates)."""
    extra = AccountRegionScopedDict()

    def handled(parameters: Any) -> Any:
        arn, action = alb._p(parameters, "ListenerArn"), alb._p(parameters, "Action")
        if arn not in alb._listeners:
            return alb._error("ListenerNotFound", f"Listener '{arn}' not found.")
        given: list[str] = []
        while certificate := alb._p(parameters, f"Certificates.member.{len(given) + 1}.CertificateArn"):
            given.append(certificate)
        have = extra.get(arn) or []
        if action.startswith("Remove"):
            extra[arn] = [certificate for certificate in have if certificate not in given]
            return alb._xml(200, action, "")
        if action.startswith("Add"):
            extra[arn] = have + [certificate for certificate in given if certificate not in have]
        first = alb._listeners[arn].get("Certificates") or [] if action.startswith("Describe") else []

        def item(certificate: str, *, default: bool) -> str:
            return f"<member><CertificateArn>{certificate}</CertificateArn><IsDefault>{to_xml(default)}</IsDefault></member>"

        items = [item(certificate, default=True) for certificate in first] + [item(certificate, default=False) for certificate in extra.get(arn) or []]
        return alb._xml(200, action, f"<Certificates>{''.join(items)}</Certificates>")

    alb._ACTION_MAP.update(dict.fromkeys(("AddListenerCertificates", "RemoveListenerCertificates", "DescribeListenerCertificates"), handled))


NAMESPACE = 'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"'


@gap
def route53_logs_queries_and_answers_dnssec() -> None:
    """A zone has query logging configurations and a DNSSEC status, which the provider reads before it empties a zone."""
    logs = AccountScopedDict()

    def reply(root: str, inner: str, status: int = 200, more: Iterable[tuple[str, str]] = ()) -> Any:
        return status, {"Content-Type": "text/xml", **dict(more)}, f'<?xml version="1.0"?><{root} {NAMESPACE}>{inner}</{root}>'.encode()

    def shown(identity: str) -> str:
        zone, group = logs[identity]
        return f"<QueryLoggingConfig><Id>{identity}</Id><HostedZoneId>{zone}</HostedZoneId><CloudWatchLogsLogGroupArn>{group}</CloudWatchLogsLogGroupArn></QueryLoggingConfig>"

    def field(body: str, name: str) -> str:
        found = re.search(rf"<{name}>([^<]+)<", body)
        return found[1] if found else ""

    async def handled(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        short = re.sub("^/2013-04-01", "", path)
        if re.fullmatch(r"/hostedzone/[^/]+/dnssec", short):
            return reply("GetDNSSECResponse", "<Status><ServeSignature>NOT_SIGNING</ServeSignature></Status><KeySigningKeys/>")
        if short == "/queryloggingconfig" and method == "POST":
            text, identity = text_of(body), new_uuid()
            logs[identity] = [field(text, "HostedZoneId"), field(text, "CloudWatchLogsLogGroupArn")]
            where = f"https://route53.amazonaws.com/2013-04-01/queryloggingconfig/{identity}"
            return reply("CreateQueryLoggingConfigResponse", shown(identity), 201, [("Location", where)])
        if short == "/queryloggingconfig":
            return reply("ListQueryLoggingConfigsResponse", "<QueryLoggingConfigs>" + "".join(shown(identity) for identity in logs) + "</QueryLoggingConfigs>")
        match = re.fullmatch(r"/queryloggingconfig/([^/]+)", short)
        if not match:
            return await original(method, path, headers, body, query)
        if match[1] not in logs:
            return route53._error_response("NoSuchQueryLoggingConfig", "no such configuration", 404)
        if method == "DELETE":
            logs.pop(match[1])
            return reply("DeleteQueryLoggingConfigResponse", "")
        return reply("GetQueryLoggingConfigResponse", shown(match[1]))

    keep(route53, "query_logging_configs", logs)
    wrap(route53, "handle_request", handled)


def keep(module: Any, name: str, store: Any) -> None:
    """Make a store of ours part of what a service saves, loads and resets."""

    def saved(original: Handler) -> Any:
        return {**original(), name: store}

    def loaded(original: Handler, data: Any) -> Any:
        restored = data.pop(name, None)
        if restored is not None:
            store._data.update(getattr(restored, "_data", restored))
        return original(data)

    def emptied(original: Handler) -> Any:
        store._data.clear()
        return original()

    wrap(module, "get_state", saved)
    wrap(module, "load_persisted_state", loaded)
    wrap(module, "reset", emptied)


@gap
def route53_keeps_the_tags_of_every_account() -> None:
    """The tags of zones are saved for every account, not for the one that asked last, so that they are there after a restart."""
    keep(route53, "tags_of_every_account", route53._tags)


@gap
def ses_keeps_an_identitys_attributes() -> None:
    """An identity keeps its MAIL FROM domain, feedback forwarding, configuration set and DKIM settings."""

    def change(record: Any, what: str, given: Any) -> None:
        if what == "mail-from":
            record["MailFromAttributes"] = {
                "MailFromDomain": given.get("MailFromDomain", ""),
                "MailFromDomainStatus": "SUCCESS",
                "BehaviorOnMxFailure": given.get("BehaviorOnMxFailure") or "USE_DEFAULT_VALUE",
            }
        elif what == "feedback":
            record["FeedbackForwardingStatus"] = given.get("EmailForwardingEnabled", False)
        elif what == "configuration-set":
            record["ConfigurationSetName"] = given.get("ConfigurationSetName")
        elif what == "dkim":
            record["DkimAttributes"]["SigningEnabled"] = given.get("SigningEnabled", False)

    async def handled(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        short = re.sub("^/v2/email", "", path.rstrip("/"))
        given = json.loads(body) if body else {}
        match = re.fullmatch(r"/identities/([^/]+)/(mail-from|feedback|configuration-set|dkim/signing|dkim)", short)
        if match and method == "PUT":
            record = ses_v2._identities.get(match[1])
            if record is None:
                return ses_v2._json_err("NotFoundException", f"Identity {match[1]} not found", 404)
            change(record, match[2], given)
            return json_response({})
        reply = await original(method, path, headers, body, query)
        record = ses_v2._identities.get(given.get("EmailIdentity")) if short == "/identities" and method == "POST" else None
        if record is not None:
            record.update(FeedbackForwardingStatus=True, ConfigurationSetName=given.get("ConfigurationSetName"))
            size = (given.get("DkimSigningAttributes") or {}).get("NextSigningKeyLength") or "RSA_2048_BIT"
            if record["DkimAttributes"]["Tokens"]:
                record["DkimAttributes"].update(SigningEnabled=True, Status="SUCCESS", NextSigningKeyLength=size, CurrentSigningKeyLength=size)
        return reply

    wrap(ses_v2, "handle_request", handled)
