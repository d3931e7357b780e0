"""Elastic Load Balancing: health checks, target health and listener certificates."""

import re
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import alb, autoscaling

from sandbox.emulator.patches.autoscaling import fails_to_start
from sandbox.emulator.patches.hooks import Handler, gap, wrap
from sandbox.emulator.patches.query_protocol import decode, to_xml


@gap
def load_balancers_report_the_health_of_servers() -> None:
    """The servers of an Auto Scaling group are targets of its target groups, healthy or not (DescribeTargetHealth)."""

    def servers_behind(target_group: str) -> list[Any]:
        groups = [g for g in autoscaling._asgs.values() if target_group in (g.get("TargetGroupARNs") or [])]
        return [server for group in groups for server in group["Instances"]]

    def describe(original: Handler, parameters: Any) -> Any:
        target_group = alb._p(parameters, "TargetGroupArn")
        servers, registered = servers_behind(target_group), alb._targets.get(target_group, [])
        known = {target["Id"] for target in registered}
        added = [{"Id": server["InstanceId"]} for server in servers if server["InstanceId"] not in known]
        if target_group not in alb._tgs or not added:
            return original(parameters)
        alb._targets[target_group] = [*registered, *added]
        try:
            status, headers, body = original(parameters)
        finally:
            alb._targets[target_group] = registered
        failing = {server["InstanceId"] for server in servers if fails_to_start(server.get("LaunchTemplate") or {})}

        def with_health(match: re.Match[str]) -> str:
            if match[1] not in failing:
                return match[0]
            return match[0].replace("<State>healthy</State>", "<State>unhealthy</State>")

        target = r"<Target><Id>([^<]+)</Id>.*?</TargetHealth>"
        return status, headers, re.sub(target, with_health, decode(body)).encode()

    wrap(alb, "_describe_target_health", describe)


@gap
def load_balancers_check_tcp_without_a_path() -> None:
    """The health check of a TCP or TLS target group has neither a path nor a matcher."""

    def target_group_xml(original: Handler, group: Any) -> Any:
        text = original(group)
        if group.get("HealthCheckProtocol") not in {"TCP", "TLS"}:
            return text
        return re.sub(r"<HealthCheckPath>.*?</HealthCheckPath>|<Matcher>.*?</Matcher>", "", text)

    wrap(alb, "_tg_xml", target_group_xml)


@gap
def load_balancers_accept_additional_certificates() -> None:
    """A listener can have more than one certificate (Add-, Remove- and DescribeListenerCertificates)."""
    additional = AccountRegionScopedDict()

    def requested_certificates(parameters: Any) -> list[str]:
        certificates: list[str] = []
        while arn := alb._p(parameters, f"Certificates.member.{len(certificates) + 1}.CertificateArn"):
            certificates.append(arn)
        return certificates

    def items(certificates: list[str], *, is_default: bool) -> list[dict[str, Any]]:
        return [{"CertificateArn": arn, "IsDefault": is_default} for arn in certificates]

    def handle(parameters: Any) -> Any:
        listener, action = alb._p(parameters, "ListenerArn"), alb._p(parameters, "Action")
        if listener not in alb._listeners:
            return alb._error("ListenerNotFound", f"Listener '{listener}' not found.")
        requested, current = requested_certificates(parameters), additional.get(listener) or []
        if action.startswith("Remove"):
            additional[listener] = [arn for arn in current if arn not in requested]
            return alb._xml(200, action, "")
        if action.startswith("Add"):
            additional[listener] = current + [arn for arn in requested if arn not in current]
        is_description = action.startswith("Describe")
        default = alb._listeners[listener].get("Certificates") or [] if is_description else []
        certificates = [
            *items(default, is_default=True),
            *items(additional.get(listener) or [], is_default=False),
        ]
        return alb._xml(200, action, to_xml({"Certificates": certificates}))

    actions = ("AddListenerCertificates", "RemoveListenerCertificates", "DescribeListenerCertificates")
    alb._ACTION_MAP.update(dict.fromkeys(actions, handle))
