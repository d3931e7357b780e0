"""Auto Scaling: what a group stores, and instance refreshes."""

import base64
import re
import time
import zlib
from http import HTTPStatus
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import autoscaling, ec2

from sandbox.emulator.patches.hooks import Handler, gap, wrap
from sandbox.emulator.patches.query_protocol import decode, to_xml

REFRESH_SECONDS = 4  # AWS takes minutes; here it is long enough that a client sees a refresh in progress
RETRY_SECONDS = 2  # until a server that fails is replaced by another one; AWS takes minutes
GIVE_UP_SECONDS = 60  # until a refresh fails whose servers fail; AWS takes an hour
MAX_REFRESHES = 50  # how many AWS returns if the request does not say
REFRESH_FIELDS = (
    "InstanceRefreshId",
    "AutoScalingGroupName",
    "Status",
    "StatusReason",
    "StartTime",
    "EndTime",
    "PercentageComplete",
    "InstancesToUpdate",
)
FAILING_VARIABLE = "SANDBOX_SERVERS_FAIL"


def requested_group(parameters: Any) -> Any:
    """Return the group that a request names, or None."""
    return autoscaling._asgs.get(autoscaling._p(parameters, "AutoScalingGroupName"))


def group_not_found() -> Any:
    """Return AWS's response to a request for a group that does not exist."""
    return autoscaling._error("ValidationError", "AutoScalingGroup name not found")


def list_action(field: str, prefix: str, *, add: bool) -> Handler:
    """Return an action that adds items to a list of a group, or removes them: all of them if the request names none."""

    def handle(parameters: Any) -> Any:
        group = requested_group(parameters)
        if group is None:
            return group_not_found()
        items, current = set(autoscaling._parse_member_list(parameters, prefix)), set(group.get(field) or [])
        if add:
            group[field] = sorted(current | items)
        else:
            group[field] = sorted(current - items) if items else []
        action = autoscaling._p(parameters, "Action")
        return autoscaling._xml(200, f"{action}Response", f"<{action}Result/>")

    return handle


@gap
def autoscaling_attaches_target_groups() -> None:
    """A group stores its target groups, set at its creation or by Attach and Detach, and reports them as InService."""

    def describe(parameters: Any) -> Any:
        targets = (requested_group(parameters) or {}).get("TargetGroupARNs") or []
        items = [{"LoadBalancerTargetGroupARN": arn, "State": "InService"} for arn in targets]
        result = to_xml({"DescribeLoadBalancerTargetGroupsResult": {"LoadBalancerTargetGroups": items}})
        return autoscaling._xml(200, "DescribeLoadBalancerTargetGroupsResponse", result)

    def create(original: Handler, parameters: Any) -> Any:
        response = original(parameters)
        group = requested_group(parameters)
        if group is not None and response[0] < HTTPStatus.MULTIPLE_CHOICES:
            group["TargetGroupARNs"] = autoscaling._parse_member_list(parameters, "TargetGroupARNs")
        return response

    autoscaling._ACTION_MAP.update(
        AttachLoadBalancerTargetGroups=list_action("TargetGroupARNs", "TargetGroupARNs", add=True),
        DetachLoadBalancerTargetGroups=list_action("TargetGroupARNs", "TargetGroupARNs", add=False),
        AttachTrafficSources=list_action("TargetGroupARNs", "TrafficSources", add=True),
        DescribeLoadBalancerTargetGroups=describe,
    )
    wrap(autoscaling, "_create_asg", create)


@gap
def autoscaling_collects_metrics() -> None:
    """A group stores which of its metrics are collected."""
    autoscaling._ACTION_MAP.update(
        EnableMetricsCollection=list_action("Metrics", "Metrics", add=True),
        DisableMetricsCollection=list_action("Metrics", "Metrics", add=False),
    )


@gap
def autoscaling_describes_target_groups_and_metrics() -> None:
    """DescribeAutoScalingGroups returns a group's target groups and enabled metrics."""
    name_and_arn = re.compile(r"<AutoScalingGroupName>([^<]+)</AutoScalingGroupName><AutoScalingGroupARN>")

    def describe(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def add_fields(match: re.Match[str]) -> str:
            group = autoscaling._asgs.get(match[1]) or {}
            metrics = [{"Metric": metric, "Granularity": "1Minute"} for metric in group.get("Metrics") or []]
            fields = {"TargetGroupARNs": group.get("TargetGroupARNs") or [], "EnabledMetrics": metrics}
            return match[0].replace("<AutoScalingGroupARN>", f"{to_xml(fields)}<AutoScalingGroupARN>")

        return status, headers, name_and_arn.sub(add_fields, decode(body)).encode()

    wrap(autoscaling, "_describe_asgs", describe)


@gap
def autoscaling_changes_the_launch_template() -> None:
    """UpdateAutoScalingGroup can change the launch template and its version."""

    def update(original: Handler, parameters: Any) -> Any:
        response = original(parameters)
        group = requested_group(parameters)
        names = ("LaunchTemplate.LaunchTemplateId", "LaunchTemplate.LaunchTemplateName")
        template = next(filter(None, (autoscaling._p(parameters, name) for name in names)), "")
        if group is not None and template:
            group["LaunchTemplate"] = {
                "LaunchTemplateId": template,
                "LaunchTemplateName": template,
                "Version": autoscaling._p(parameters, "LaunchTemplate.Version") or "$Default",
            }
        return response

    wrap(autoscaling, "_update_asg", update)


@gap
def autoscaling_keeps_rebalancing_and_warm_up() -> None:
    """A group keeps CapacityRebalance (replace Spot servers before AWS reclaims them) and DefaultInstanceWarmup."""
    fields = ("CapacityRebalance", "DefaultInstanceWarmup")
    # autoscaling_describes_target_groups_and_metrics, which runs before this, puts the target groups after the name.
    name = re.compile(r"<AutoScalingGroupName>([^<]+)</AutoScalingGroupName>(?=<TargetGroupARNs>)")

    def store(original: Handler, parameters: Any) -> Any:
        response = original(parameters)
        group = requested_group(parameters)
        if group is not None:
            values = {field: autoscaling._p(parameters, field) for field in fields}
            group.update({field: value for field, value in values.items() if value})
        return response

    def describe(original: Handler, parameters: Any) -> Any:
        status, headers, body = original(parameters)

        def add_fields(match: re.Match[str]) -> str:
            group = autoscaling._asgs.get(match[1]) or {}
            return match[0] + to_xml({field: group.get(field) for field in fields})

        return status, headers, name.sub(add_fields, decode(body)).encode()

    for action in ("_create_asg", "_update_asg"):
        wrap(autoscaling, action, store)
    wrap(autoscaling, "_describe_asgs", describe)


def fails_to_start(template: Any) -> bool:
    """Tell whether servers of a launch template should fail, because their container has FAILING_VARIABLE.

    Its value is `yes`, or the name of the environment in which the servers fail.
    """
    for variables in container_variables(user_data(template)):
        if variables.get(FAILING_VARIABLE) in {"yes", variables.get("ENVIRONMENT", "yes")}:
            return True
    return False


def user_data(template: Any) -> str:
    """Return the start script of a launch template's version; empty if it has none."""
    versions = (ec2._launch_templates.get(template.get("LaunchTemplateId")) or {}).get("Versions") or []
    number = str(template.get("Version"))
    matches = [version["LaunchTemplateData"] for version in versions if str(version["VersionNumber"]) == number]
    return base64.b64decode(matches[0].get("UserData") or "").decode(errors="replace") if matches else ""


def container_variables(script: str) -> list[dict[str, str]]:
    """Return the environment variables in each env file that a start script writes."""
    encoded_files = re.findall(r"echo ([A-Za-z0-9+/=]+) \| base64 -d", script)
    files = [base64.b64decode(text).decode(errors="replace") for text in encoded_files]
    return [dict(line.split("=", 1) for line in file.splitlines() if "=" in line) for file in files]


def requested_template(parameters: Any) -> dict[str, str] | None:
    """Return the launch template in the desired configuration of an instance refresh, or None."""
    prefix = "DesiredConfiguration.LaunchTemplate"
    template = autoscaling._p(parameters, f"{prefix}.LaunchTemplateId")
    if not template:
        return None
    version = autoscaling._p(parameters, f"{prefix}.Version") or "$Default"
    return {"LaunchTemplateId": template, "LaunchTemplateName": template, "Version": version}


def advance_refresh(group: Any) -> None:
    """Let the time pass for a group's instance refresh.

    Servers that fail are terminated and started again until AWS gives up: one after the other, beside the old ones.
    """
    refresh = active_refresh(group)
    if refresh is None:
        return
    template = refresh["Desired"] or group["LaunchTemplate"]
    age = time.time() - refresh["Started"]
    group["Instances"] = [server for server in group["Instances"] if not server.get("IsFailing")]
    if not fails_to_start(template):
        if age >= REFRESH_SECONDS:
            finish_refresh(group, refresh, template)
    elif age < GIVE_UP_SECONDS:
        group["Instances"].append(failing_server(group, template, number=int(age / RETRY_SECONDS)))
    else:
        fail_refresh(refresh)


def active_refresh(group: Any) -> Any:
    """Return the instance refresh of a group that is in progress, or None."""
    refresh = next(iter(group.get("InstanceRefreshes") or []), None)
    return refresh if refresh is not None and refresh["Status"] == "InProgress" else None


def failing_server(group: Any, template: Any, number: int) -> dict[str, Any]:
    """Return a server that has failed its health checks and is about to be terminated."""
    identity = zlib.crc32(f"{group['AutoScalingGroupName']} {template['Version']} {number}".encode())
    return {
        "InstanceId": f"i-{identity:017x}",
        "LifecycleState": "InService",
        "HealthStatus": "Unhealthy",
        "AvailabilityZone": (group["AvailabilityZones"] or ["us-east-1a"])[0],
        "ProtectedFromScaleIn": False,
        "LaunchTemplate": template,
        "LaunchConfigurationName": "",
        "IsFailing": True,
    }


def finish_refresh(group: Any, refresh: Any, template: Any) -> None:
    """End an instance refresh successfully: only now does the group itself get the desired configuration."""
    refresh.update(Status="Successful", StatusReason="", EndTime=now_iso(), PercentageComplete=100)
    group["LaunchTemplate"] = template
    matching = [server for server in group["Instances"] if server["LaunchTemplate"] == template]
    group["Instances"] = matching if refresh["SkipMatching"] else []
    autoscaling._reconcile_instances(group)


def fail_refresh(refresh: Any) -> None:
    """End an instance refresh without success. The group keeps the configuration that it had when the refresh began.

    So an automatic rollback only helps if the configuration was not changed before the refresh was started.
    """
    status = "RollbackSuccessful" if refresh["AutoRollback"] else "Failed"
    reason = "Instances failed their health checks"
    refresh.update(Status=status, StatusReason=reason, EndTime=now_iso())


def start_refresh(original: Handler, parameters: Any) -> Any:
    """Start an instance refresh, which is in progress for REFRESH_SECONDS or, if servers fail, GIVE_UP_SECONDS."""
    response = original(parameters)
    group = requested_group(parameters)
    if group is not None:
        group["InstanceRefreshes"][0].update(
            Status="InProgress",
            StatusReason="",
            EndTime="",
            PercentageComplete=0,
            InstancesToUpdate=len(group["Instances"]),
            Started=time.time(),
            Desired=requested_template(parameters),
            AutoRollback=autoscaling._p(parameters, "Preferences.AutoRollback") == "true",
            SkipMatching=autoscaling._p(parameters, "Preferences.SkipMatching") == "true",
        )
    return response


def cancel_refresh(original: Handler, parameters: Any) -> Any:
    """Cancel an instance refresh. Servers that it started and that are healthy stay."""
    response = original(parameters)
    group = requested_group(parameters)
    if group is not None:
        group["Instances"] = [server for server in group["Instances"] if not server.get("IsFailing")]
    return response


def describe_refreshes(parameters: Any) -> Any:
    """Answer DescribeInstanceRefreshes."""
    group = requested_group(parameters)
    if group is None:
        return group_not_found()
    advance_refresh(group)
    ids = autoscaling._parse_member_list(parameters, "InstanceRefreshIds")
    refreshes = [
        refresh for refresh in group.get("InstanceRefreshes") or [] if not ids or refresh["InstanceRefreshId"] in ids
    ]
    limit = int(autoscaling._p(parameters, "MaxRecords") or MAX_REFRESHES)
    items = [
        {field: refresh[field] for field in REFRESH_FIELDS if refresh.get(field) not in {None, ""}}
        for refresh in refreshes[:limit]
    ]
    result = to_xml({"DescribeInstanceRefreshesResult": {"InstanceRefreshes": items}})
    return autoscaling._xml(200, "DescribeInstanceRefreshesResponse", result)


@gap
def autoscaling_replaces_servers() -> None:
    """An instance refresh takes time and replaces every server; if new servers fail, it tries again, then gives up.

    To rehearse that, release a service with the environment variable SANDBOX_SERVERS_FAIL. Its value is yes, or the
    name of an environment.
    """

    def describe_groups(original: Handler, parameters: Any) -> Any:
        for group in autoscaling._asgs.values():
            advance_refresh(group)
        return original(parameters)

    wrap(autoscaling, "_describe_asgs", describe_groups)
    wrap(autoscaling, "_start_instance_refresh", start_refresh)
    wrap(autoscaling, "_cancel_instance_refresh", cancel_refresh)
    autoscaling._ACTION_MAP["DescribeInstanceRefreshes"] = describe_refreshes


@gap
def autoscaling_finds_policies_by_name() -> None:
    """DescribePolicies returns only the policies that the request names."""

    def describe(original: Handler, parameters: Any) -> Any:
        names = set(autoscaling._parse_member_list(parameters, "PolicyNames"))
        if not names:
            return original(parameters)
        policies = autoscaling._policies
        autoscaling._policies = {key: policy for key, policy in policies.items() if policy["PolicyName"] in names}
        try:
            return original(parameters)
        finally:
            autoscaling._policies = policies

    wrap(autoscaling, "_describe_policies", describe)
