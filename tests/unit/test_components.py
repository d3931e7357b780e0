"""What each component promises."""

import base64
import ipaddress
import json
from typing import Any

import pytest

from components.isolated_database import FromPointInTime, FromSnapshot, IsolatedDatabase, IsolatedDatabaseArgs
from components.load_balanced_instance_group import start_script
from components.subdomain_record import AliasTarget, SubdomainRecord, SubdomainRecordArgs
from foundation.guard import mixed_up_target
from foundation.network import subnet_cidr, subnet_ipv6
from tests.unit.conftest import program_run
from tests.unit.mocked import Registered, Run, run

SERVICES_WITH_DATABASE = ("core", "members", "payments", "email")


@pytest.fixture
def prod() -> Run:
    """Return what prod registers."""
    return program_run("prod")


def rules(run: Run, direction: str, group: str) -> list[Registered]:
    """Return the rules of a security group, by the group's resource name."""
    kind = f"vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule"
    return [rule for rule in run.of(kind).values() if rule.inputs["securityGroupId"] == f"{group}-id"]


def statements(policy: str) -> dict[str, dict[str, Any]]:
    """Return a policy's statements by their Sid."""
    return {statement.get("Sid", str(index)): statement for index, statement in enumerate(json.loads(policy)["Statement"])}


# --- IsolatedDatabase


@pytest.mark.parametrize("service", SERVICES_WITH_DATABASE)
def test_only_the_services_servers_reach_its_database(prod: Run, service: str) -> None:
    """One rule lets one security group in, and nothing goes out."""
    inbound = rules(prod, "Ingress", f"{service}-database-access")
    assert [(rule.inputs["referencedSecurityGroupId"], rule.inputs["fromPort"], rule.inputs["toPort"]) for rule in inbound] == [(f"{service}-access-id", 5432, 5432)]
    assert rules(prod, "Egress", f"{service}-database-access") == []
    instance = prod.one("rds/instance:Instance", f"{service}-database-instance")
    assert instance.inputs["vpcSecurityGroupIds"] == [f"{service}-database-access-id"]
    assert instance.inputs["publiclyAccessible"] is False
    subnets = prod.one("rds/subnetGroup:SubnetGroup", f"{service}-database-subnets").inputs["subnetIds"]
    assert sorted(subnets) == ["network-data-a-id", "network-data-b-id", "network-data-c-id"]


@pytest.mark.parametrize("service", SERVICES_WITH_DATABASE)
def test_a_database_is_encrypted_with_its_services_key(prod: Run, service: str) -> None:
    """Storage, insights and the password."""
    inputs = prod.one("rds/instance:Instance", f"{service}-database-instance").inputs
    assert inputs["storageEncrypted"] is True
    assert {inputs["kmsKeyId"], inputs["performanceInsightsKmsKeyId"], inputs["masterUserSecretKmsKeyId"]} == {f"arn:aws:::{service}-key"}


def test_no_password_is_known_to_pulumi(prod: Run) -> None:
    """AWS makes it and rotates it; it is in no state, output or user data."""
    for instance in prod.of("rds/instance:Instance").values():
        assert instance.inputs["manageMasterUserPassword"] is True
        assert "password" not in instance.inputs


def test_a_database_forces_tls_and_can_be_restored(prod: Run) -> None:
    """TLS by parameter group; backups for as long as the environment says; a final snapshot of a unique name."""
    instances = prod.of("rds/instance:Instance").values()
    for group in prod.of("rds/parameterGroup:ParameterGroup").values():
        assert {"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"} in group.inputs["parameters"]
    assert {instance.inputs["backupRetentionPeriod"] for instance in instances} == {35}
    finals = [instance.inputs["finalSnapshotIdentifier"] for instance in instances]
    assert len(set(finals)) == len(finals)
    assert all(final.endswith("-1a2b3c4-final") for final in finals)


def test_prods_databases_have_a_standby_and_tell_when_they_suffer(prod: Run) -> None:
    """Multi-AZ, and alarms that go to the environment's topic."""
    assert all(instance.inputs["multiAz"] for instance in prod.of("rds/instance:Instance").values())
    alarms = [alarm for alarm in prod.of("cloudwatch/metricAlarm:MetricAlarm").values() if alarm.inputs["namespace"] == "AWS/RDS"]
    assert len(alarms) == 3 * len(SERVICES_WITH_DATABASE)
    assert all(alarm.inputs["alarmActions"] == ["arn:aws:::records-alarms"] for alarm in alarms)


def test_socket_has_no_database(prod: Run) -> None:
    """It keeps no data."""
    assert sorted(prod.of("rds/instance:Instance")) == sorted(f"{service}-database-instance" for service in SERVICES_WITH_DATABASE)


# --- LoadBalancedInstanceGroup


def test_servers_take_no_shell_and_hand_out_no_credentials(prod: Run) -> None:
    """IMDSv2 with one hop, encrypted disks, no key pair, no port 22."""
    templates = prod.of("ec2/launchTemplate:LaunchTemplate")
    assert len(templates) == 5
    for template in templates.values():
        inputs = template.inputs
        assert inputs["metadataOptions"]["httpTokens"] == "required"
        assert inputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert inputs["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"
        assert "keyName" not in inputs
    ports = {rule.inputs["fromPort"] for rule in prod.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()}
    assert 22 not in ports


def test_servers_run_the_release_by_digest_on_its_machine_image(prod: Run) -> None:
    """A tag could move between two servers."""
    template = prod.one("ec2/launchTemplate:LaunchTemplate", "members-servers-template").inputs
    script = base64.b64decode(template["userData"]).decode()
    assert template["imageId"] == "ami-0123456789abcdef0"
    assert "/members@sha256:" in script


def test_a_deployment_is_a_fixed_version_and_a_refresh_that_rolls_back(prod: Run) -> None:
    """$Latest would never start an instance refresh."""
    for group in prod.of("autoscaling/group:Group").values():
        assert group.inputs["launchTemplate"]["version"] == "7"
        preferences = group.inputs["instanceRefresh"]["preferences"]
        assert preferences["autoRollback"] is True
        assert preferences["minHealthyPercentage"] == 100
        alarms = preferences["alarmSpecification"]["alarms"]
        assert alarms
        assert not [alarm for alarm in alarms if "unhealthy" in alarm], "each new server is unhealthy while it starts"
        assert group.inputs["healthCheckType"] == "ELB"


def test_up_leaves_the_capacity_that_scaling_chose(prod: Run) -> None:
    """desired_capacity is not the program's."""
    assert all("desiredCapacity" not in group.inputs for group in prod.of("autoscaling/group:Group").values())
    assert len(prod.of("autoscaling/policy:Policy")) == 5


def test_requests_find_their_service(prod: Run) -> None:
    """Payments is asked before members, whose rule takes every path of the host; www is sent to the apex."""
    found = {rule.inputs["priority"]: rule for rule in prod.of("lb/listenerRule:ListenerRule").values()}
    assert {priority: rule.name for priority, rule in found.items()} == {
        100: "payments-servers-rule",
        200: "members-servers-rule",
        300: "core-servers-rule",
        301: "core-servers-redirect-www",
    }
    assert found[100].inputs["conditions"] == [{"hostHeader": {"values": ["members.100xglobal.com"]}}, {"pathPattern": {"values": ["/payments", "/payments/*"]}}]
    assert found[301].inputs["actions"][0]["redirect"]["host"] == "100xglobal.com"


def test_email_listens_on_its_ports_through_its_own_balancer(prod: Run) -> None:
    """25, 465 and 587, each passed on unchanged."""
    balancer = prod.one("lb/loadBalancer:LoadBalancer", "email-servers-lb")
    assert balancer.inputs["loadBalancerType"] == "network"
    listeners = [listener for listener in prod.of("lb/listener:Listener").values() if listener.inputs["loadBalancerArn"] == "arn:aws:::email-servers-lb"]
    assert sorted(listener.inputs["port"] for listener in listeners) == [25, 465, 587]
    servers = rules(prod, "Ingress", "email-access")
    assert sorted(rule.inputs["fromPort"] for rule in servers) == [25, 465, 587]


def test_socket_keeps_connections_open(prod: Run) -> None:
    """A long idle timeout, stickiness and a slow drain."""
    assert prod.one("lb/loadBalancer:LoadBalancer", "socket-servers-lb").inputs["idleTimeout"] == 120
    target = prod.one("lb/targetGroup:TargetGroup", "socket-servers-http").inputs
    assert target["stickiness"]["enabled"] is True
    assert target["deregistrationDelay"] == 600


def test_balancers_speak_modern_tls_and_keep_logs(prod: Run) -> None:
    """HTTPS with TLS 1.2 or newer; HTTP only redirects; access logs are on; deletion is refused."""
    for listener in prod.of("lb/listener:Listener").values():
        if listener.inputs["protocol"] == "HTTPS":
            assert listener.inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
            assert listener.inputs["certificateArn"]
        if listener.inputs["protocol"] == "HTTP":
            assert listener.inputs["defaultActions"][0]["type"] == "redirect"
    for balancer in prod.of("lb/loadBalancer:LoadBalancer").values():
        assert balancer.inputs["accessLogs"]["enabled"] is True
        assert balancer.inputs["enableDeletionProtection"] is True


def test_environment_variables_cannot_break_out_of_the_script() -> None:
    """Whatever a value holds, it arrives as itself."""
    nasty = {"A": "$(rm -rf /) `id` 'x' \"y\"", "B": "UNIT"}
    script = start_script("registry/name@sha256:0", "us-east-1", "/alpha/x/servers", nasty)
    encoded = script.split("echo ", 1)[1].split(" ", 1)[0]
    assert base64.b64decode(encoded).decode() == "A=$(rm -rf /) `id` 'x' \"y\"\nB=UNIT\n"
    assert "rm -rf" not in script


def test_the_registry_is_asked_in_its_own_region() -> None:
    """Which may be another than the servers'."""
    script = start_script("111111111111.dkr.ecr.us-east-1.amazonaws.com/x@sha256:0", "eu-west-1", "/alpha/x/servers", {})
    assert "get-login-password --region us-east-1" in script
    assert "awslogs-region=eu-west-1" in script


def test_a_public_balancer_waits_for_the_way_out(prod: Run) -> None:
    """AWS refuses one in a VPC without an internet gateway; servers could not fetch their image without NAT."""
    routes = {resource.urn: resource.name for resource in prod.of("ec2/route:Route").values()}
    for balancer in prod.of("lb/loadBalancer:LoadBalancer").values():
        assert "network-public-internet" in {routes.get(urn) for urn in balancer.dependencies}
    for group in prod.of("autoscaling/group:Group").values():
        assert {"network-application-a-out", "network-application-b-out", "network-application-c-out"} <= {routes.get(urn) for urn in group.dependencies}


def test_the_key_lets_auto_scaling_in_by_condition(prod: Run) -> None:
    """A principal that does not exist yet, as in a new account, would be refused."""
    policy = statements(prod.one("kms/key:Key", "socket-key").inputs["policy"])
    assert policy["DisksOfScaledServers"]["Principal"] == {"AWS": "*"}
    condition = policy["DisksOfScaledServers"]["Condition"]
    assert condition["StringEquals"] == {"kms:CallerAccount": "111111111111"}
    assert condition["ArnEquals"]["aws:PrincipalArn"].endswith("/AWSServiceRoleForAutoScaling")
    assert "FilesThroughCloudFront" not in policy
    assert "FilesThroughCloudFront" in statements(prod.one("kms/key:Key", "core-key").inputs["policy"])


def test_a_record_may_name_authorities_and_be_checked_from_outside() -> None:
    """Where asked: CAA records of the host, and a health check over HTTPS."""

    def program() -> None:
        target = AliasTarget("lb.example.", "Z1", ipv6=False)
        SubdomainRecord("r", SubdomainRecordArgs("Z2", "x.example.com", target, ("amazon.com",), "/healthz", {"Name": "r"}))

    made = run(program)
    assert made.one("route53/record:Record", "r-caa").inputs["records"] == ['0 issue "amazon.com"', '0 issuewild "amazon.com"']
    assert made.one("route53/healthCheck:HealthCheck", "r-check").inputs["resourcePath"] == "/healthz"
    assert sorted(made.of("route53/record:Record")) == ["r-a", "r-caa"]


@pytest.mark.parametrize("restore", [FromSnapshot("arn:aws:rds:us-east-1:1:snapshot:s"), FromPointInTime("core-1", "2026-11-23T18:00:00Z")])
def test_a_restored_database_keeps_what_it_starts_from(restore: FromSnapshot | FromPointInTime) -> None:
    """A snapshot's key stays: another would replace the database at the next update."""

    def program() -> None:
        args = IsolatedDatabaseArgs(
            vpc_id="v", subnet_ids={"a": "s1"}, client_security_group_id="g", database_name="x", engine_version="16.9", instance_class="db.t4g.micro", storage_gb=20,
            maximum_storage_gb=40, multi_az=False, key_arn="arn:key", backup_days=3, alarm_topic_arn="arn:topic", tags={}, restore=restore,
        )  # fmt: skip
        IsolatedDatabase("d", args)

    inputs = run(program).one("rds/instance:Instance", "d-instance").inputs
    assert "username" not in inputs
    assert "dbName" not in inputs
    if isinstance(restore, FromSnapshot):
        assert inputs["snapshotIdentifier"] == restore.snapshot_id
        assert "kmsKeyId" not in inputs
    else:
        assert inputs["restoreToPointInTime"] == {"sourceDbInstanceIdentifier": "core-1", "restoreTime": "2026-11-23T18:00:00Z"}
    assert inputs["finalSnapshotIdentifier"].startswith("d-subnets-1a2b3c4-final-")


# --- CdnBucket


def test_files_are_read_through_their_distribution_only(prod: Run) -> None:
    """The bucket is private; its policy names one distribution and refuses plain HTTP."""
    policy = statements(prod.one("s3/bucketPolicy:BucketPolicy", "core-cdn-policy").inputs["policy"])
    assert policy["DistributionReads"]["Condition"] == {"StringEquals": {"AWS:SourceArn": "arn:aws:::core-cdn-distribution"}}
    assert policy["TlsOnly"]["Effect"] == "Deny"
    blocks = prod.of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert len(blocks) == len(prod.of("s3/bucket:Bucket")) == 4
    for block in blocks.values():
        assert all(block.inputs[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))


def test_a_distribution_is_fast_and_strict(prod: Run) -> None:
    """HTTP/2 and 3, IPv6, compression, TLS 1.2, security headers, logs."""
    inputs = prod.one("cloudfront/distribution:Distribution", "members-cdn-distribution").inputs
    assert inputs["aliases"] == ["uploads.100xglobal.com"]
    assert (inputs["httpVersion"], inputs["isIpv6Enabled"]) == ("http2and3", True)
    assert inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    behaviour = inputs["defaultCacheBehavior"]
    assert (behaviour["viewerProtocolPolicy"], behaviour["compress"], behaviour["responseHeadersPolicyId"]) == ("redirect-to-https", True, "members-cdn-headers-id")
    assert inputs["loggingConfig"]["bucket"]


def test_cloudfronts_certificate_is_where_cloudfront_looks(prod: Run) -> None:
    """CloudFront takes certificates of us-east-1 only."""
    assert prod.one("acm/certificate:Certificate", "core-cdn-certificate").inputs["region"] == "us-east-1"


# --- SubdomainRecord


def test_hosts_answer_on_ipv4_and_ipv6(prod: Run) -> None:
    """A and AAAA aliases of the same name; the apex too."""
    for name, host in (("core-record", "100xglobal.com"), ("members-record", "members.100xglobal.com"), ("core-cdn-record", "static.100xglobal.com")):
        records = [prod.one("route53/record:Record", f"{name}-{part}").inputs for part in ("a", "aaaa")]
        assert [(record["name"], record["type"]) for record in records] == [(host, "A"), (host, "AAAA")]
        assert records[0]["aliases"][0]["evaluateTargetHealth"] is (name != "core-cdn-record"), "Route 53 refuses it for a distribution"


# --- ServiceEnvironment


@pytest.mark.parametrize("service", ["core", "members", "payments", "email", "socket"])
def test_a_services_role_reaches_its_own_things_only(prod: Run, service: str) -> None:
    """Every resource in its policy is named after the service, but for the two calls that take no resource or are of the registry."""
    policy = statements(prod.one("iam/rolePolicy:RolePolicy", f"{service}-permissions").inputs["policy"])
    others = {"core", "members", "payments", "email", "socket", "events"} - {service}
    for sid, statement in policy.items():
        if sid in {"RegistryLogin", "OwnSecret", "SystemsManager"}:
            continue
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources, sid
        for resource in resources:
            assert service in resource, (sid, resource)
            assert not any(f"/{other}" in resource or f":::{other}" in resource for other in others), (sid, resource)
    assert not [action for action in policy["SystemsManager"]["Action"] if "Parameter" in action or action.endswith("*")]
    attached = [a.inputs["policyArn"] for a in prod.of("iam/rolePolicyAttachment:RolePolicyAttachment").values() if a.inputs["role"] == f"{service}-servers-1a2b3c4"]
    assert attached == [], "AWS's own policies read every service's parameters"
    secret = policy.get("OwnSecret")
    assert secret is None or secret["Resource"] == "arn:aws:secretsmanager:::secret:rds"


def test_members_and_payments_share_a_host_and_nothing_else(prod: Run) -> None:
    """Own database, role, key and servers."""
    for kind, name in (("rds/instance:Instance", "database-instance"), ("iam/role:Role", "servers"), ("kms/key:Key", "key"), ("autoscaling/group:Group", "servers-group")):
        assert prod.one(kind, f"members-{name}").urn != prod.one(kind, f"payments-{name}").urn
    assert not [name for name in prod.of("route53/record:Record") if name.startswith("payments")]


def test_mail_is_signed_and_says_who_may_send_it(prod: Run) -> None:
    """DKIM, SPF, DMARC, MAIL FROM and MX."""
    records = {record.name: record.inputs for record in prod.of("route53/record:Record").values() if record.name.startswith("email-mail")}
    assert records["email-mail-mx"]["records"] == ["10 email.100xglobal.com"]
    assert records["email-mail-spf"]["records"] == ["v=spf1 include:amazonses.com -all"]
    assert records["email-mail-dmarc"]["records"][0].startswith("v=DMARC1; p=quarantine")
    assert records["email-mail-dkim-2"]["name"] == "two._domainkey.email.100xglobal.com"
    assert prod.one("sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes", "email-mail-mail-from").inputs["mailFromDomain"] == "bounce.email.100xglobal.com"


def test_a_deploy_role_changes_one_service_in_one_environment(prod: Run) -> None:
    """Trusted for one GitHub environment; what it may change carries the service's tags."""
    trust = statements(prod.one("iam/role:Role", "members-deploy").inputs["assumeRolePolicy"])["0"]
    assert trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"] == "repo:100xglobal/infra:environment:prod-members"
    policy = statements(prod.one("iam/rolePolicy:RolePolicy", "members-deploy-permissions").inputs["policy"])
    assert policy["OwnResources"]["Condition"]["StringEquals"] == {"aws:ResourceTag/Service": "members", "aws:ResourceTag/Environment": "prod"}
    assert policy["HandOnOwnRole"]["Resource"] == "arn:aws:::members-servers"
    assert not [action for action in policy["OwnResources"]["Action"] if action.endswith("*")]
    for sid in ("StartServers", "StartAsTheTemplateSays"):
        assert policy[sid]["Condition"]["ArnEquals"]["ec2:LaunchTemplate"].endswith(":launch-template/members-servers-template-id")
    assert policy["StartAsTheTemplateSays"]["Condition"]["Bool"] == {"ec2:IsLaunchTemplateResource": "true"}
    assert policy["TagServers"]["Condition"]["StringEquals"]["aws:RequestTag/Service"] == "members"
    assert policy["OwnFiles"]["Resource"] == "arn:aws:::members-cdn-bucket/*"


# --- foundation


def test_data_subnets_have_no_way_out(prod: Run) -> None:
    """Their route table has no route."""
    tables = {route.inputs["routeTableId"] for route in prod.of("ec2/route:Route").values()}
    assert "network-data-routes-id" not in tables
    assert {f"network-application-{letter}-routes-id" for letter in "abc"} < tables


def test_prod_has_a_nat_gateway_in_each_zone_and_alpha_one() -> None:
    """A zone's failure stops no other zone of prod."""
    assert sorted(program_run("prod").of("ec2/natGateway:NatGateway")) == ["network-nat-a", "network-nat-b", "network-nat-c"]
    assert sorted(program_run("alpha").of("ec2/natGateway:NatGateway")) == ["network-nat-a"]


def test_subnets_keep_their_ranges_when_a_zone_is_added() -> None:
    """A range comes from the tier and the zone's letter, not from a place in a list; none overlap."""
    cidrs = [subnet_cidr("10.0.0.0/16", tier, f"us-east-1{letter}") for tier in ("public", "application", "data") for letter in "abcdefgh"]
    networks = [ipaddress.IPv4Network(cidr) for cidr in cidrs]
    assert not [(a, b) for i, a in enumerate(networks) for b in networks[i + 1 :] if a.overlaps(b)]
    assert subnet_cidr("10.0.0.0/16", "data", "us-east-1c") == "10.0.144.0/21"
    assert subnet_ipv6("2600:1f18:1234:5600::/56", "data", "us-east-1c") == "2600:1f18:1234:5612::/64"


def test_the_default_security_group_is_empty(prod: Run) -> None:
    """EC2.2."""
    group = prod.one("ec2/defaultSecurityGroup:DefaultSecurityGroup", "network-default-group").inputs
    assert (group["ingress"], group["egress"]) == ([], [])


@pytest.mark.parametrize(
    ("backend", "home", "endpoint", "refused"),
    [
        ("file:///x/.sandbox/state", "/x/.sandbox/home", "http://127.0.0.1:4566", False),
        ("file:///x/.sandbox/state", "/x/.sandbox/home", "", True),
        ("file:///x/.sandbox/state", "", "https://ec2.amazonaws.com", True),
        ("", "/x/.sandbox/home", "", True),
        ("file:///my%20work/.sandbox/state", "", "http://localhost:1", False),
        ("s3://state", "", "", False),
        ("", "", "", False),
    ],
)
def test_a_stack_of_the_sandbox_never_meets_real_aws(backend: str, home: str, endpoint: str, *, refused: bool) -> None:
    """And a real one runs without anything of the sandbox."""
    assert bool(mixed_up_target(backend, home, endpoint)) is refused
