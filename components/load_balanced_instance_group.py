"""Servers of one service behind a balancer: they run the release's container, scale, and are replaced a few at a time."""

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws.acm.certificate import Certificate
from pulumi_aws.acm.certificate_validation import CertificateValidation
from pulumi_aws.autoscaling import Metric
from pulumi_aws.autoscaling.group import Group
from pulumi_aws.autoscaling.policy import Policy as ScalingPolicy
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.ec2.launch_template import LaunchTemplate
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.lb import ListenerRuleConditionArgsDict
from pulumi_aws.lb.listener import Listener
from pulumi_aws.lb.listener_rule import ListenerRule
from pulumi_aws.lb.load_balancer import LoadBalancer
from pulumi_aws.lb.target_group import TargetGroup
from pulumi_aws.route53.record import Record
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from components.names import HTTP_PORT, HTTPS_PORT, TLS_POLICY
from components.spec import FrontDoorRoute, OwnBalancer, OwnNetworkBalancer
from components.subdomain_record import AliasTarget

TYPE = "hundredx:components:LoadBalancedInstanceGroup"
WARM_UP_SECONDS = 120  # from a server's start until its numbers count
CPU_TARGET_PERCENT = 50.0  # what scaling aims at; leaves room for a zone's failure
DEREGISTRATION_SECONDS = 30
UNHEALTHY_MINUTES = 10  # longer than a server takes to start
ANY_IPV4, ANY_IPV6 = "0.0.0.0/0", "::/0"


@dataclass(frozen=True)
class SharedBalancer:
    """The environment's front door: its HTTPS listener, where it stands, and its security group."""

    listener_arn: pulumi.Input[str]
    dns_name: pulumi.Input[str]
    zone_id: pulumi.Input[str]
    arn_suffix: pulumi.Input[str]
    security_group_id: pulumi.Input[str]


@dataclass(frozen=True)
class GroupNetwork:
    """Where the servers and a balancer of their own stand, and who may connect.

    Subnets are keyed by tier and zone (`application-a`). allow: IP ranges that may connect to a balancer of the group's own.
    """

    vpc_id: pulumi.Input[str]
    public_subnet_ids: Mapping[str, pulumi.Input[str]]
    application_subnet_ids: Mapping[str, pulumi.Input[str]]
    zone_id: pulumi.Input[str]
    access_log_bucket: pulumi.Input[str]
    allow: tuple[str, ...]


@dataclass(frozen=True)
class LoadBalancedInstanceGroupArgs:
    """What a group is made from.

    balancing: how requests reach the servers; a FrontDoorRoute needs shared_balancer.
    host: the full name; redirect_hosts are sent there.
    image: the container image by digest. machine_image: the AMI.
    environment_variables: given to the container; never a secret.
    port: where the container listens. idle_timeout_seconds: when a balancer of the group's own drops a silent connection.
    minimum, maximum: how many servers; between the two, scaling decides, and `up` never takes its decision back.
    """

    balancing: FrontDoorRoute | OwnBalancer | OwnNetworkBalancer
    network: GroupNetwork
    shared_balancer: SharedBalancer | None
    host: str
    redirect_hosts: tuple[str, ...]
    image: str
    machine_image: str
    instance_type: str
    disk_gb: int
    minimum: int
    maximum: int
    port: int
    health_path: str
    idle_timeout_seconds: int
    environment_variables: Mapping[str, pulumi.Input[str]]
    region: str
    log_group_name: pulumi.Input[str]
    instance_profile_arn: pulumi.Input[str]
    server_security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    alarm_topic_arn: pulumi.Input[str]
    protect_balancer: bool
    tags: dict[str, str]
    deploy_despite_alarms: bool = False


class LoadBalancedInstanceGroup(pulumi.ComponentResource):
    """Launch template, Auto Scaling group, target groups, and a rule of the front door or a balancer of the group's own."""

    group_name: pulumi.Output[str]
    launch_template_id: pulumi.Output[str]
    launch_template_version: pulumi.Output[int]
    target_group_arns: dict[str, pulumi.Output[str]]
    alias: AliasTarget

    def __init__(self, name: str, args: LoadBalancedInstanceGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the balancer's side, then the servers."""
        super().__init__(TYPE, name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if isinstance(args.balancing, OwnNetworkBalancer):
            targets, alarms = self._network_balancer(args.balancing)
        elif isinstance(args.balancing, OwnBalancer):
            targets, alarms = self._own_balancer(args.balancing)
        else:
            targets, alarms = self._front_door_rule(args.balancing)
        template = self._launch_template()
        group = self._group(template, targets, alarms)
        self._scaling(group)
        self.group_name, self.launch_template_id, self.launch_template_version = group.name, template.id, template.latest_version
        self.target_group_arns = {part: target.arn for part, target in targets.items()}
        self.register_outputs(
            {
                "group_name": self.group_name,
                "launch_template_id": self.launch_template_id,
                "launch_template_version": self.launch_template_version,
                "target_group_arns": self.target_group_arns,
            }
        )

    # --- how requests arrive

    def _http_target(self, drain_seconds: int) -> TargetGroup:
        args = self._args
        return TargetGroup(
            f"{self._name}-http",
            port=args.port,
            protocol="HTTP",
            target_type="instance",
            vpc_id=args.network.vpc_id,
            deregistration_delay=drain_seconds,
            health_check={
                "enabled": True,
                "path": args.health_path,
                "protocol": "HTTP",
                "matcher": "200",
                "interval": 15,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            stickiness={"enabled": isinstance(args.balancing, OwnBalancer), "type": "lb_cookie", "cookie_duration": 86400},
            tags=args.tags,
            opts=self._child,
        )

    def _front_door_rule(self, route: FrontDoorRoute) -> tuple[dict[str, TargetGroup], list[MetricAlarm]]:
        args, shared = self._args, self._args.shared_balancer
        if shared is None:
            message = f"{self._name} is routed by the front door, and no shared_balancer was given: the service would have no way in"
            raise ValueError(message)
        target = self._http_target(DEREGISTRATION_SECONDS)
        conditions: list[ListenerRuleConditionArgsDict] = [{"host_header": {"values": [args.host]}}]
        if route.path:
            conditions.append({"path_pattern": {"values": [route.path, f"{route.path}/*"]}})
        ListenerRule(
            f"{self._name}-rule",
            listener_arn=shared.listener_arn,
            priority=route.priority,
            conditions=conditions,
            actions=[{"type": "forward", "target_group_arn": target.arn}],
            tags=args.tags,
            opts=self._child,
        )
        for index, host in enumerate(args.redirect_hosts, 1):
            ListenerRule(
                f"{self._name}-redirect-{host.split('.', 1)[0]}",
                listener_arn=shared.listener_arn,
                priority=route.priority + index,
                conditions=[{"host_header": {"values": [host]}}],
                actions=[{"type": "redirect", "redirect": {"host": args.host, "status_code": "HTTP_301", "protocol": "HTTPS", "port": str(HTTPS_PORT)}}],
                tags=args.tags,
                opts=self._child,
            )
        self._connect(shared.security_group_id, {"http": args.port})
        self.alias = AliasTarget(shared.dns_name, shared.zone_id)
        return {"http": target}, self._http_alarms(shared.arn_suffix, target)

    def _own_balancer(self, own: OwnBalancer) -> tuple[dict[str, TargetGroup], list[MetricAlarm]]:
        name, args = self._name, self._args
        group = self._balancer_security_group((HTTPS_PORT, HTTP_PORT))
        balancer = self._balancer("application", group, idle_timeout_seconds=args.idle_timeout_seconds)
        target = self._http_target(own.slow_drain_seconds)
        Listener(
            f"{name}-listen-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=self._certificate(),
            default_actions=[{"type": "forward", "target_group_arn": target.arn}],
            tags=args.tags,
            opts=self._child,
        )
        Listener(
            f"{name}-listen-http",
            load_balancer_arn=balancer.arn,
            port=HTTP_PORT,
            protocol="HTTP",
            default_actions=[{"type": "redirect", "redirect": {"port": str(HTTPS_PORT), "protocol": "HTTPS", "status_code": "HTTP_301"}}],
            tags=args.tags,
            opts=self._child,
        )
        self._connect(group.id, {"http": args.port})
        self.alias = AliasTarget(balancer.dns_name, balancer.zone_id)
        return {"http": target}, self._http_alarms(balancer.arn_suffix, target)

    def _network_balancer(self, own: OwnNetworkBalancer) -> tuple[dict[str, TargetGroup], list[MetricAlarm]]:
        name, args = self._name, self._args
        group = self._balancer_security_group(own.ports)
        balancer = self._balancer("network", group)
        targets: dict[str, TargetGroup] = {}
        for port in own.ports:
            target = TargetGroup(
                f"{name}-{port}",
                port=port,
                protocol="TCP",
                target_type="instance",
                vpc_id=args.network.vpc_id,
                deregistration_delay=DEREGISTRATION_SECONDS,
                preserve_client_ip="true",  # mail servers judge by the sender's address
                health_check={"enabled": True, "protocol": "TCP", "port": str(port), "interval": 10, "healthy_threshold": 2, "unhealthy_threshold": 2},
                tags=args.tags,
                opts=self._child,
            )
            Listener(
                f"{name}-listen-{port}",
                load_balancer_arn=balancer.arn,
                port=port,
                protocol="TCP",
                default_actions=[{"type": "forward", "target_group_arn": target.arn}],
                tags=args.tags,
                opts=self._child,
            )
            targets[f"tcp-{port}"] = target
        self._connect(group.id, {str(port): port for port in own.ports})
        self.alias = AliasTarget(balancer.dns_name, balancer.zone_id)
        for port, target in zip(own.ports, targets.values(), strict=True):
            self._unhealthy(f"unhealthy-{port}", balancer.arn_suffix, target, "AWS/NetworkELB")
        return targets, [self._too_few(f"too-few-{port}", balancer.arn_suffix, target, "AWS/NetworkELB") for port, target in zip(own.ports, targets.values(), strict=True)]

    def _balancer(self, kind: str, group: SecurityGroup, *, idle_timeout_seconds: int | None = None) -> LoadBalancer:
        args = self._args
        return LoadBalancer(
            f"{self._name}-lb",
            load_balancer_type=kind,
            internal=False,
            ip_address_type="dualstack",
            subnets=list(args.network.public_subnet_ids.values()),
            security_groups=[group.id],
            idle_timeout=idle_timeout_seconds,
            drop_invalid_header_fields=True if kind == "application" else None,
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=args.protect_balancer,
            access_logs={"enabled": True, "bucket": args.network.access_log_bucket, "prefix": self._name},
            tags=args.tags,
            opts=self._child,
        )

    def _balancer_security_group(self, ports: tuple[int, ...]) -> SecurityGroup:
        name, args = self._name, self._args
        group = SecurityGroup(
            f"{name}-door", description=f"{name}: the service's own balancer", vpc_id=args.network.vpc_id, revoke_rules_on_delete=True, tags=args.tags, opts=self._child
        )
        for port in ports:
            for cidr in args.network.allow:
                is_ipv6 = ":" in cidr
                SecurityGroupIngressRule(
                    f"{name}-door-{port}-from-{cidr_label(cidr)}",
                    security_group_id=group.id,
                    description=f"Port {port} from {cidr}",
                    cidr_ipv4=None if is_ipv6 else cidr,
                    cidr_ipv6=cidr if is_ipv6 else None,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    tags=args.tags,
                    opts=self._child,
                )
        return group

    def _connect(self, balancer_group_id: pulumi.Input[str], ports: Mapping[str, int]) -> None:
        """Let the balancer reach the servers on these ports: the way out of one group, and into the other."""
        name, args = self._name, self._args
        for part, port in ports.items():
            SecurityGroupEgressRule(
                f"{name}-door-to-servers-{part}",
                security_group_id=balancer_group_id,
                description=f"To the servers of {name}",
                referenced_security_group_id=args.server_security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags=args.tags,
                opts=self._child,
            )
            SecurityGroupIngressRule(
                f"{name}-servers-from-door-{part}",
                security_group_id=args.server_security_group_id,
                description=f"From the balancer of {name}",
                referenced_security_group_id=balancer_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                tags=args.tags,
                opts=self._child,
            )

    def _certificate(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        certificate = Certificate(f"{name}-certificate", domain_name=args.host, validation_method="DNS", key_algorithm="RSA_2048", tags=args.tags, opts=self._child)
        proof = certificate.domain_validation_options[0]
        record = Record(
            f"{name}-proof",
            zone_id=args.network.zone_id,
            name=proof.resource_record_name.apply(str),
            type=proof.resource_record_type.apply(str),
            records=[proof.resource_record_value.apply(str)],
            ttl=300,
            allow_overwrite=True,
            opts=self._child,
        )
        return CertificateValidation(f"{name}-validation", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], opts=self._child).certificate_arn

    # --- the servers

    def _launch_template(self) -> LaunchTemplate:
        name, args = self._name, self._args
        server_tags = {**args.tags, "Name": name}
        return LaunchTemplate(
            f"{name}-template",
            description=f"Servers of {name}",
            image_id=args.machine_image,
            instance_type=args.instance_type,
            iam_instance_profile={"arn": args.instance_profile_arn},
            vpc_security_group_ids=[args.server_security_group_id],
            user_data=self._user_data(),
            update_default_version=True,
            ebs_optimized="true",
            # EC2.8: no metadata without a session token. One hop: containers run on the host's network.
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1, "instance_metadata_tags": "enabled"},
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {"volume_size": args.disk_gb, "volume_type": "gp3", "encrypted": "true", "kms_key_id": args.key_arn, "delete_on_termination": "true"},
                }
            ],
            monitoring={"enabled": True},
            tag_specifications=[{"resource_type": kind, "tags": server_tags} for kind in ("instance", "volume", "network-interface")],
            tags=args.tags,
            opts=self._child,
        )

    def _user_data(self) -> pulumi.Output[str]:
        args = self._args
        return pulumi.Output.all(log_group=args.log_group_name, variables=dict(sorted(args.environment_variables.items()))).apply(
            lambda given: base64.b64encode(start_script(args.image, args.region, given["log_group"], given["variables"]).encode()).decode()
        )

    def _group(self, template: LaunchTemplate, targets: Mapping[str, TargetGroup], alarms: list[MetricAlarm]) -> Group:
        name, args = self._name, self._args
        return Group(
            f"{name}-group",
            min_size=args.minimum,
            max_size=args.maximum,  # desired_capacity is left out: scaling chose it, and `up` must not reset it
            vpc_zone_identifiers=list(args.network.application_subnet_ids.values()),
            target_group_arns=[target.arn for target in targets.values()],
            health_check_type="ELB",
            health_check_grace_period=WARM_UP_SECONDS,
            default_instance_warmup=WARM_UP_SECONDS,
            capacity_rebalance=True,
            # A number, not $Latest: only a changed number starts an instance refresh.
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            instance_refresh={
                "strategy": "Rolling",
                "preferences": {
                    "min_healthy_percentage": 100,
                    "max_healthy_percentage": 150,  # new servers come up beside the old ones
                    "instance_warmup": str(WARM_UP_SECONDS),
                    "auto_rollback": True,
                    "skip_matching": True,
                    # A refresh does not begin while one of its alarms rings: what mends a broken service is deployed despite them.
                    "alarm_specification": None if args.deploy_despite_alarms else {"alarms": [alarm.name for alarm in alarms]},
                },
            },
            enabled_metrics=[Metric.GROUP_DESIRED_CAPACITY, Metric.GROUP_IN_SERVICE_INSTANCES, Metric.GROUP_PENDING_INSTANCES, Metric.GROUP_TOTAL_INSTANCES],
            metrics_granularity="1Minute",
            tags=[{"key": key, "value": value, "propagate_at_launch": False} for key, value in sorted(args.tags.items())],
            opts=self._child,
        )

    def _scaling(self, group: Group) -> None:
        ScalingPolicy(
            f"{self._name}-scaling",
            autoscaling_group_name=group.name,
            policy_type="TargetTrackingScaling",
            target_tracking_configuration={"predefined_metric_specification": {"predefined_metric_type": "ASGAverageCPUUtilization"}, "target_value": CPU_TARGET_PERCENT},
            opts=self._child,
        )

    # --- alarms. A deployment is rolled back by what its users feel: errors, or too few healthy servers. Unhealthy servers alone
    # are told and roll nothing back: each new server is unhealthy while it starts.

    def _http_alarms(self, balancer: pulumi.Input[str], target: TargetGroup) -> list[MetricAlarm]:
        self._unhealthy("unhealthy", balancer, target, "AWS/ApplicationELB")
        dimensions = {"LoadBalancer": balancer, "TargetGroup": target.arn_suffix}
        errors = self._alarm("errors", "HTTPCode_Target_5XX_Count", 10, dimensions, statistic="Sum", namespace="AWS/ApplicationELB")
        return [errors, self._too_few("too-few", balancer, target, "AWS/ApplicationELB")]

    def _unhealthy(self, part: str, balancer: pulumi.Input[str], target: TargetGroup, namespace: str) -> None:
        dimensions = {"LoadBalancer": balancer, "TargetGroup": target.arn_suffix}
        self._alarm(part, "UnHealthyHostCount", 0, dimensions, statistic="Maximum", namespace=namespace, minutes=UNHEALTHY_MINUTES)

    def _too_few(self, part: str, balancer: pulumi.Input[str], target: TargetGroup, namespace: str) -> MetricAlarm:
        dimensions = {"LoadBalancer": balancer, "TargetGroup": target.arn_suffix}
        return self._alarm(part, "HealthyHostCount", self._args.minimum, dimensions, statistic="Maximum", namespace=namespace, comparison="LessThanThreshold")

    def _alarm(
        self,
        part: str,
        metric: str,
        threshold: float,
        dimensions: Mapping[str, pulumi.Input[str]],
        *,
        statistic: str,
        namespace: str,
        minutes: int = 5,
        comparison: str = "GreaterThanThreshold",
    ) -> MetricAlarm:
        args = self._args
        return MetricAlarm(
            f"{self._name}-{part}",
            alarm_description=f"{self._name}: {metric} {'below' if comparison == 'LessThanThreshold' else 'above'} {threshold:g} in {minutes - 2} of {minutes} minutes",
            namespace=namespace,
            metric_name=metric,
            dimensions=dimensions,
            statistic=statistic,
            period=60,
            evaluation_periods=minutes,
            datapoints_to_alarm=minutes - 2,
            threshold=threshold,
            comparison_operator=comparison,
            treat_missing_data="notBreaching",
            alarm_actions=[args.alarm_topic_arn],
            ok_actions=[args.alarm_topic_arn],
            tags=args.tags,
            opts=self._child,
        )


def cidr_label(cidr: str) -> str:
    """Return a range as a part of a resource's name: `anywhere-ipv4`, `10-0-0-0-8`."""
    named = {ANY_IPV4: "anywhere-ipv4", ANY_IPV6: "anywhere-ipv6"}
    return named.get(cidr) or "".join(character if character.isalnum() else "-" for character in cidr).strip("-")


def registry_region(registry: str, default: str) -> str:
    """Return the region of an ECR registry, which may be another than the servers'."""
    parts = registry.split(".")
    return parts[parts.index("ecr") + 1] if "ecr" in parts else default


def start_script(image: str, region: str, log_group: str, variables: Mapping[str, str]) -> str:
    """Return the user data: the container is started by systemd, so that it comes back after a crash and a reboot.

    The machine image brings docker, the AWS CLI and the Systems Manager agent (as Amazon's ECS-optimized images do). The
    variables travel as base64, so that no value can break out of the script.
    """
    environment_file = base64.b64encode("".join(f"{key}={value}\n" for key, value in variables.items()).encode()).decode()
    registry = image.split("/", maxsplit=1)[0]
    run = " ".join(
        [
            "/usr/bin/docker run --rm --name service --network host --read-only --tmpfs /tmp --cap-drop ALL --cap-add NET_BIND_SERVICE",
            f"--env-file /etc/service.env --log-driver awslogs --log-opt awslogs-region={region}",
            f"--log-opt awslogs-group={shlex.quote(log_group)} --log-opt tag=%H {shlex.quote(image)}",
        ]
    )
    return f"""#!/bin/bash
set -euo pipefail
umask 077
echo {environment_file} | base64 -d > /etc/service.env
cat > /etc/systemd/system/service.service <<'UNIT'
[Unit]
After=docker.service network-online.target
Requires=docker.service
[Service]
Restart=always
RestartSec=5
ExecStartPre=-/usr/bin/docker rm -f service
ExecStartPre=/bin/bash -c 'aws ecr get-login-password --region {registry_region(registry, region)} | docker login --username AWS --password-stdin {registry}'
ExecStart={run}
ExecStop=/usr/bin/docker stop --time 30 service
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now service
"""
