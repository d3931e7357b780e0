"""LoadBalancedInstanceGroup: how servers start, how releases replace them, and how requests reach them."""

import base64

from components.security_group_rules import cidr_label
from mocks.aws import Run


def test_servers_have_no_shell_access_and_protect_their_credentials(prod: Run) -> None:
    """Metadata needs a session token, disks are encrypted, and there is neither a key pair nor an open port 22."""
    templates = prod.of("ec2/launchTemplate:LaunchTemplate")
    assert len(templates) == 5
    for template in templates.values():
        inputs = template.inputs
        assert inputs["metadataOptions"]["httpTokens"] == "required"
        assert inputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert inputs["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"
        assert "keyName" not in inputs
    ports = {
        rule.inputs["fromPort"] for rule in prod.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    }
    assert 22 not in ports


def test_servers_run_the_releases_image_by_digest(prod: Run) -> None:
    """They boot the release's machine image and pull its container image by digest, because a tag can move."""
    template = prod.one("ec2/launchTemplate:LaunchTemplate", "members-servers-template").inputs
    script = base64.b64decode(template["userData"]).decode()
    assert template["imageId"] == "ami-0123456789abcdef0"
    assert "/members@sha256:" in script


def test_a_new_release_starts_an_instance_refresh_that_an_alarm_ends(prod: Run) -> None:
    """The group has a fixed version of its template, because $Latest would never start a refresh.

    AWS would roll back to the version that the provider has set already, which is the failing one.
    """
    for group in prod.of("autoscaling/group:Group").values():
        assert group.inputs["launchTemplate"]["version"] == "7"
        preferences = group.inputs["instanceRefresh"]["preferences"]
        assert preferences["autoRollback"] is False
        assert preferences["minHealthyPercentage"] == 100
        alarms = preferences["alarmSpecification"]["alarms"]
        assert alarms
        assert not [alarm for alarm in alarms if "unhealthy" in alarm], "each new server is unhealthy while it starts"
        assert group.inputs["healthCheckType"] == "ELB"


def test_an_update_does_not_reset_the_number_of_servers(prod: Run) -> None:
    """Scaling decides the desired capacity, so the program never sets it."""
    assert all("desiredCapacity" not in group.inputs for group in prod.of("autoscaling/group:Group").values())
    assert len(prod.of("autoscaling/policy:Policy")) == 5


def test_the_shared_load_balancer_forwards_each_request_to_its_service(prod: Run) -> None:
    """The rule of payments comes before that of members, which takes every path; www is redirected to the domain."""
    rules = {rule.inputs["priority"]: rule for rule in prod.of("lb/listenerRule:ListenerRule").values()}
    assert {priority: rule.name for priority, rule in rules.items()} == {
        100: "payments-servers-rule",
        200: "members-servers-rule",
        300: "core-servers-rule",
        301: "core-servers-redirect-www",
    }
    assert rules[100].inputs["conditions"] == [
        {"hostHeader": {"values": ["members.100xglobal.com"]}},
        {"pathPattern": {"values": ["/payments", "/payments/*"]}},
    ]
    assert rules[301].inputs["actions"][0]["redirect"]["host"] == "100xglobal.com"


def test_a_network_load_balancer_passes_its_ports_on(prod: Run) -> None:
    """Email's load balancer listens on 25, 465 and 587, with TLS on 465, and its servers receive the same ports."""
    load_balancer = prod.one("lb/loadBalancer:LoadBalancer", "email-servers-lb")
    assert load_balancer.inputs["loadBalancerType"] == "network"
    listeners = [
        listener
        for listener in prod.of("lb/listener:Listener").values()
        if listener.inputs["loadBalancerArn"] == "arn:aws:::email-servers-lb"
    ]
    protocols = {listener.inputs["port"]: listener.inputs["protocol"] for listener in listeners}
    assert protocols == {25: "TCP", 465: "TLS", 587: "TCP"}
    certificates = {listener.inputs["port"] for listener in listeners if listener.inputs.get("certificateArn")}
    assert certificates == {465}
    rules = prod.security_group_rules("Ingress", "email-access")
    assert sorted(rule.inputs["fromPort"] for rule in rules) == [25, 465, 587]


def test_mail_servers_see_the_address_of_every_client(prod: Run) -> None:
    """Over IPv6 they would see the load balancer's, so it has no IPv6: no address, no record and no rule."""
    assert prod.one("lb/loadBalancer:LoadBalancer", "email-servers-lb").inputs["ipAddressType"] == "ipv4"
    records = {record.name for record in prod.of("route53/record:Record").values()}
    assert "email-record-a" in records
    assert "email-record-aaaa" not in records
    rules = prod.security_group_rules("Ingress", "email-servers-door")
    assert {rule.inputs.get("cidrIpv6") for rule in rules} == {None}
    for target_group in prod.of("lb/targetGroup:TargetGroup").values():
        assert target_group.inputs.get("preserveClientIp") == (
            "true" if target_group.name.startswith("email") else None
        )


def test_a_dedicated_load_balancer_keeps_connections_open(prod: Run) -> None:
    """Socket's load balancer has the release's idle timeout, is sticky, and drains its servers slowly."""
    assert prod.one("lb/loadBalancer:LoadBalancer", "socket-servers-lb").inputs["idleTimeout"] == 120
    target_group = prod.one("lb/targetGroup:TargetGroup", "socket-servers-http").inputs
    assert target_group["stickiness"]["enabled"] is True
    assert target_group["deregistrationDelay"] == 600


def test_load_balancers_use_modern_tls(prod: Run) -> None:
    """Listeners with TLS accept version 1.2 or newer, and HTTP listeners only redirect."""
    for listener in prod.of("lb/listener:Listener").values():
        if listener.inputs["protocol"] in {"HTTPS", "TLS"}:
            assert listener.inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
            assert listener.inputs["certificateArn"]
        if listener.inputs["protocol"] == "HTTP":
            assert listener.inputs["defaultActions"][0]["type"] == "redirect"


def test_load_balancers_keep_logs_and_cannot_be_deleted(prod: Run) -> None:
    """Every load balancer of prod writes access logs and has deletion protection."""
    for load_balancer in prod.of("lb/loadBalancer:LoadBalancer").values():
        assert load_balancer.inputs["accessLogs"]["enabled"] is True
        assert load_balancer.inputs["enableDeletionProtection"] is True


def test_load_balancers_and_servers_wait_for_their_routes(prod: Run) -> None:
    """AWS refuses a load balancer without an internet gateway, and a server without NAT cannot pull its image."""
    routes = {resource.urn: resource.name for resource in prod.of("ec2/route:Route").values()}
    for load_balancer in prod.of("lb/loadBalancer:LoadBalancer").values():
        assert "network-public-internet" in {routes.get(urn) for urn in load_balancer.dependencies}
    for group in prod.of("autoscaling/group:Group").values():
        assert {"network-application-a-out", "network-application-b-out", "network-application-c-out"} <= {
            routes.get(urn) for urn in group.dependencies
        }


def test_ranges_have_names_that_can_be_part_of_a_resources_name() -> None:
    """The name of a rule tells which range it is for."""
    assert cidr_label("0.0.0.0/0") == "anywhere-ipv4"
    assert cidr_label("::/0") == "anywhere-ipv6"
    assert cidr_label("10.0.0.0/8") == "10-0-0-0-8"
    assert cidr_label("2001:db8::/32") == "2001-db8---32"
