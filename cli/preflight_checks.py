"""What AWS would refuse an environment, asked of AWS beforehand. All calls only read.

Each check yields findings. A check that AWS does not answer fails with InfraError, and the others still run.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.aws_clients import AwsClients
from common.console import count
from common.errors import InfraError
from release.stack_state import StackState, type_of
from settings.models import Settings
from settings.placeholders import placeholders
from settings.project_files import environment_file
from settings.service_spec import ServiceSpec

GITHUB_ISSUER = "token.actions.githubusercontent.com"
ECR_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^@]+)@(sha256:[0-9a-f]{64})")
PENDING = "PendingConfirmation"
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is not ready. advice: what to do, usually a command. is_warning: AWS would still create everything."""

    message: str
    advice: str
    is_warning: bool = False


@dataclass(frozen=True)
class Question:
    """What the checks know.

    Attributes:
        settings: The environment's settings.
        specs: The specs of its enabled services.
        clients: The clients of its account.
        planned: The inputs of every resource that the program registers, by URN.
        deployed: What is deployed.
        name_servers: Returns the name servers that the parent zone has for a domain; None if nobody can tell.
    """

    settings: Settings
    specs: Mapping[str, ServiceSpec]
    clients: AwsClients
    planned: Mapping[str, Inputs]
    deployed: StackState
    name_servers: Callable[[str], set[str] | None]

    @property
    def file(self) -> str:
        """The environment's file."""
        return environment_file(self.settings.name)

    def planned_of(self, resource_type: str) -> list[Inputs]:
        """Return the inputs of the planned resources of a type."""
        return [inputs for urn, inputs in self.planned.items() if type_of(urn) == resource_type]

    def deployed_of(self, resource_type: str) -> list[Mapping[str, Any]]:
        """Return the deployed resources of a type."""
        return [resource for resource in self.deployed.resources if type_of(resource["urn"]) == resource_type]

    def ask(self, service: str, operation: str, key: str, region: str | None = None, /, **arguments: Any) -> list[Any]:
        """Return the items of all pages of an answer. Any: boto3's answers have no types."""
        client = self.clients.client(service, region)
        with self.clients.errors():
            if client.can_paginate(operation):
                pages = client.get_paginator(operation).paginate(**arguments)
                return [item for page in pages for item in page.get(key) or []]
            return list(getattr(client, operation)(**arguments).get(key) or [])


Check = Callable[[Question], Iterator[Finding]]


def check_account(question: Question) -> Iterator[Finding]:
    """Credentials belong to the environment's account, and its region is enabled."""
    client, settings = question.clients.client("sts"), question.settings
    with question.clients.errors():
        account = client.get_caller_identity()["Account"]
    if account != settings.account_id:
        yield Finding(
            f"this shell's credentials belong to the account {account}, but {question.file} allows only "
            f"{settings.account_id}",
            f"Log in to {settings.account_id}, or set aws:profile in {question.file}.",
        )
    regions = {item["RegionName"]: item for item in question.ask("ec2", "describe_regions", "Regions", AllRegions=True)}
    if regions.get(settings.region, {}).get("OptInStatus") == "not-opted-in":
        yield Finding(
            f"the region {settings.region} is not enabled in the account",
            f"aws account enable-region --region-name {settings.region}",
        )


def check_examples(question: Question) -> Iterator[Finding]:
    """The file contains no example accounts, images and digests."""
    for placeholder in placeholders(question.settings):
        yield Finding(f"{question.file} has the example {placeholder.value} ({placeholder.field})", placeholder.advice)


def check_zones(question: Question) -> Iterator[Finding]:
    """The account has the availability zones."""
    items = question.ask("ec2", "describe_availability_zones", "AvailabilityZones")
    available = sorted(item["ZoneName"] for item in items if item.get("State") == "available")
    for zone in question.settings.environment.network.zones:
        if zone not in available:
            advice = f"Use others in network.zones of {question.file}: {', '.join(available)}"
            yield Finding(f"the zone {zone} is not available to the account", advice)


def check_instance_types(question: Question) -> Iterator[Finding]:
    """EC2 offers each service's instance type in every zone."""
    services = question.settings.enabled_services()
    types = sorted({service.sizing.instance_type for service in services.values()})
    offers = question.ask(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": types}],
    )
    offered = {(offer["InstanceType"], offer["Location"]) for offer in offers}
    for name, service in services.items():
        instance_type = service.sizing.instance_type
        missing = [zone for zone in question.settings.environment.network.zones if (instance_type, zone) not in offered]
        if missing:
            yield Finding(
                f"{name}: EC2 has no {instance_type} in {', '.join(missing)}",
                f"Choose another sizing.instance_type, or other zones, in {question.file}.",
            )


def check_databases(question: Question) -> Iterator[Finding]:
    """RDS creates databases of each class and version in the zones. Databases that exist already are left out."""
    existing = {
        (resource["outputs"].get("instanceClass"), resource["outputs"].get("engineVersion"))
        for resource in question.deployed_of("aws:rds/instance:Instance")
        if resource.get("outputs")
    }
    zones = set(question.settings.environment.network.zones)
    for inputs in question.planned_of("aws:rds/instance:Instance"):
        wanted = (inputs.get("instanceClass"), inputs.get("engineVersion"))
        if wanted in existing or None in wanted:  # a database that is restored has the version of its backup
            continue
        options = question.ask(
            "rds",
            "describe_orderable_db_instance_options",
            "OrderableDBInstanceOptions",
            Engine="postgres",
            DBInstanceClass=wanted[0],
            EngineVersion=wanted[1],
            Vpc=True,
        )
        offered = {zone["Name"] for option in options for zone in option.get("AvailabilityZones") or []}
        needed = 2 if inputs.get("multiAz") else 1
        if len(offered & zones) < needed:
            where = f"in {', '.join(sorted(zones))}" if options else f"in {question.settings.region}"
            yield Finding(
                f"{inputs['tags']['Service']}: RDS creates no {wanted[0]} with PostgreSQL {wanted[1]} {where}",
                "aws rds describe-orderable-db-instance-options --engine postgres "
                f"--db-instance-class {wanted[0]} --query 'OrderableDBInstanceOptions[].EngineVersion'",
            )


def check_machine_images(question: Question) -> Iterator[Finding]:
    """Each machine image exists, can be used, and has the release's architecture."""
    releases = {name: service.release for name, service in question.settings.enabled_services().items()}
    wanted = sorted({release.machine_image for release in releases.values()})
    items = question.ask("ec2", "describe_images", "Images", Filters=[{"Name": "image-id", "Values": wanted}])
    images = {item["ImageId"]: item for item in items}
    region = question.settings.region
    for name, release in releases.items():
        image = images.get(release.machine_image)
        if image is None or image.get("State") != "available":
            state = "does not exist, or is not shared with the account" if image is None else f"is {image['State']}"
            yield Finding(
                f"{name}: the machine image {release.machine_image} {state} in {region}",
                f"aws ec2 describe-images --region {region} --image-ids {release.machine_image}",
            )
        elif image.get("Architecture") != release.architecture:
            yield Finding(
                f"{name}: the machine image {release.machine_image} is {image.get('Architecture')}, "
                f"but the release is {release.architecture}",
                f"Use an image for {release.architecture}.",
            )


def check_container_images(question: Question) -> Iterator[Finding]:
    """Each container image in ECR exists, and the account may see it. Other registries are not asked."""
    for name, service in question.settings.enabled_services().items():
        image = ECR_IMAGE.fullmatch(service.release.image)
        if image is None:
            continue
        account, region, repository, digest = image.groups()
        arguments = {"registryId": account, "repositoryName": repository, "imageIds": [{"imageDigest": digest}]}
        try:
            question.ask("ecr", "describe_images", "imageDetails", region, **arguments)
        except InfraError as error:
            if error_code(error) not in {"RepositoryNotFoundException", "ImageNotFoundException"}:
                raise
            yield Finding(
                f"{name}: the image {repository}@{digest[:19]}... is not in the registry {account} in {region}",
                f"aws ecr describe-images --registry-id {account} --region {region} --repository-name {repository}",
            )


@dataclass(frozen=True)
class Quota:
    """A limit of an account.

    Attributes:
        name: What is limited.
        service, code: What Service Quotas calls it. Source: `aws service-quotas list-service-quotas`.
        resource_type: The type of the resources that count.
        ask: The client, operation and key of the answer that lists what the account has.
        kind: The type of load balancer that counts; empty for other resources.
    """

    name: str
    service: str
    code: str
    resource_type: str
    ask: tuple[str, str, str]
    kind: str = ""

    def counted(self, items: Iterable[Mapping[str, Any]], key: str) -> int:
        """Return how many items count. key: where they have the type of a load balancer."""
        return sum(1 for item in items if not self.kind or item.get(key) == self.kind)


BALANCER, BALANCERS = "aws:lb/loadBalancer:LoadBalancer", ("elbv2", "describe_load_balancers", "LoadBalancers")
QUOTAS = (
    Quota("VPCs", "vpc", "L-F678F1CE", "aws:ec2/vpc:Vpc", ("ec2", "describe_vpcs", "Vpcs")),
    Quota("Elastic IP addresses", "ec2", "L-0263D0A3", "aws:ec2/eip:Eip", ("ec2", "describe_addresses", "Addresses")),
    Quota("Application Load Balancers", "elasticloadbalancing", "L-53DA6B97", BALANCER, BALANCERS, "application"),
    Quota("Network Load Balancers", "elasticloadbalancing", "L-69A177A2", BALANCER, BALANCERS, "network"),
    Quota(
        "DB instances",
        "rds",
        "L-7B6409FD",
        "aws:rds/instance:Instance",
        ("rds", "describe_db_instances", "DBInstances"),
    ),
)
SERVER_QUOTA = ("ec2", "L-1216C47A")  # vCPUs of running on-demand instances of the standard families
STANDARD_FAMILIES = frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"})


def check_quotas(question: Question) -> Iterator[Finding]:
    """The account's quotas allow what the environment needs besides what else is in the account."""
    for quota in QUOTAS:
        planned = quota.counted(question.planned_of(quota.resource_type), "loadBalancerType")
        if not planned:
            continue
        own = quota.counted(
            (resource["inputs"] for resource in question.deployed_of(quota.resource_type)), "loadBalancerType"
        )
        others = quota.counted(question.ask(*quota.ask), "Type") - own
        yield from _over_quota(question, quota.name, (quota.service, quota.code), planned, max(others, 0))
    yield from _over_quota(question, "vCPUs of servers", SERVER_QUOTA, _server_cpus(question), 0)


def _over_quota(question: Question, name: str, quota: tuple[str, str], planned: int, others: int) -> Iterator[Finding]:
    """Yield a finding if a quota is too small."""
    service, code = quota
    client = question.clients.client("service-quotas")
    with question.clients.errors():
        limit = int(client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
    if planned + others > limit:
        used = f", and the account has {others} others" if others else ""
        yield Finding(
            f"{question.settings.name} needs {planned} {name}{used}, but the quota is {limit}",
            f"aws service-quotas request-service-quota-increase --region {question.settings.region} "
            f"--service-code {service} --quota-code {code} --desired-value {planned + others}",
        )


def _server_cpus(question: Question) -> int:
    """Return how many vCPUs the services have when all of them run as many servers as they may."""
    sizes = [service.sizing for service in question.settings.enabled_services().values()]
    types = sorted({size.instance_type for size in sizes if family_of(size.instance_type) in STANDARD_FAMILIES})
    if not types:
        return 0  # AWS would describe all types
    items = question.ask("ec2", "describe_instance_types", "InstanceTypes", InstanceTypes=types)
    cpus = {item["InstanceType"]: item["VCpuInfo"]["DefaultVCpus"] for item in items}
    return sum(cpus.get(size.instance_type, 0) * size.instances.maximum for size in sizes)


def family_of(instance_type: str) -> str:
    """Return the letters that an instance type begins with: `t` for t4g.small, `trn` for trn1.2xlarge."""
    return re.split(r"[^a-z]", instance_type, maxsplit=1)[0]


# The roles that AWS creates for itself when a service is first used. Until they exist everywhere, the first use fails.
# Sources: the user guides, "Service-linked roles"; terraform-aws-modules/terraform-aws-rds#364 (a subnet group);
# RaJiska/terraform-aws-fck-nat#85 (an Auto Scaling group).
SERVICE_LINKED_ROLES = {
    "AWSServiceRoleForAutoScaling": "autoscaling.amazonaws.com",
    "AWSServiceRoleForElasticLoadBalancing": "elasticloadbalancing.amazonaws.com",
    "AWSServiceRoleForRDS": "rds.amazonaws.com",
}


def check_service_linked_roles(question: Question) -> Iterator[Finding]:
    """The account has the roles that AWS would otherwise create while the first resources already need them."""
    client = question.clients.client("iam")
    for role, service in SERVICE_LINKED_ROLES.items():
        try:
            with question.clients.errors():
                client.get_role(RoleName=role)
        except InfraError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            yield Finding(
                f"the account has no role {role}, and the first resources that need it can fail before AWS has made it",
                f"aws iam create-service-linked-role --aws-service-name {service}",
            )


def check_mail(question: Question) -> Iterator[Finding]:
    """SES may send to everybody, if a service sends mail."""
    senders = [name for name, spec in question.specs.items() if spec.sends_mail]
    if not senders:
        return
    client = question.clients.client("sesv2")
    with question.clients.errors():
        is_in_production = client.get_account().get("ProductionAccessEnabled")
    if not is_in_production:
        yield Finding(
            f"{', '.join(senders)}: SES is in its sandbox and sends only to verified addresses",
            "Request production access: https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html",
            is_warning=True,
        )


def check_alarms(question: Question) -> Iterator[Finding]:
    """Everybody who should get alarms has confirmed the subscription."""
    for topic in question.deployed_of("aws:sns/topic:Topic"):
        arn = topic["id"]
        for item in question.ask("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn):
            if item["SubscriptionArn"] == PENDING:
                yield Finding(
                    f"{item['Endpoint']} gets no alarms: the subscription is not confirmed",
                    "Follow the link in the mail from AWS Notifications. It is valid for two days; afterwards, remove "
                    "the address from operations.alarm_emails, deploy, and add it again.",
                    is_warning=True,
                )


def check_identity_provider(question: Question) -> Iterator[Finding]:
    """No other environment of the account has the identity provider of GitHub, of which AWS allows one."""
    resource_type = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    if not question.planned_of(resource_type) or question.deployed_of(resource_type):
        return
    items = question.ask("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList")
    for item in items:
        if item["Arn"].endswith(f"/{GITHUB_ISSUER}"):
            yield Finding(
                f"the account already has an identity provider for GitHub, and AWS allows only one: {item['Arn']}",
                "Give each environment an account of its own, or leave out operations.github_repository in "
                f"{question.file}.",
            )


def check_delegation(question: Question) -> Iterator[Finding]:
    """The parent zone leads to the environment's zone. Without that, certificates are not issued."""
    domain = question.settings.environment.domain
    zones = question.deployed_of("aws:route53/zone:Zone")
    if not zones:
        yield Finding(
            f"{domain} has no zone yet, and its certificates are issued only after the parent zone leads to it",
            f"While `up` waits, it shows the name servers. Enter them where {domain.partition('.')[2]} is managed.",
            is_warning=True,
        )
        return
    own = {str(server).rstrip(".").lower() for server in zones[0]["outputs"].get("nameServers") or []}
    known = question.name_servers(domain)
    if known is None:
        raise InfraError(f"the name servers of {domain} cannot be asked for")
    if known != own:
        found = f"leads to {', '.join(sorted(known))}" if known else "does not have it"
        yield Finding(
            f"{domain}: the parent zone {found}, so nobody reaches this environment, and certificates are not issued",
            f"Enter the zone's name servers there: {', '.join(sorted(own))}",
        )


def error_code(error: InfraError) -> str:
    """Return AWS's code of an error; empty if AWS did not answer."""
    response: Mapping[str, Any] = getattr(error.__cause__, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


# By what is checked, once check_account has shown that the answers are about the right account. The emulator cannot
# answer the second group as AWS would.
CHECKS: Mapping[str, Check] = {
    "zones": check_zones,
    "identity provider": check_identity_provider,
    "alarm addresses": check_alarms,
}
CHECKS_ON_AWS: Mapping[str, Check] = {
    "examples": check_examples,
    "instance types": check_instance_types,
    "databases": check_databases,
    "machine images": check_machine_images,
    "container images": check_container_images,
    "quotas": check_quotas,
    "service-linked roles": check_service_linked_roles,
    "mail": check_mail,
    "delegation": check_delegation,
}


def summary(findings: Sequence[Finding]) -> str:
    """Return how many problems and warnings there are."""
    warnings = sum(finding.is_warning for finding in findings)
    return f"{count(len(findings) - warnings, 'problem')}, {count(warnings, 'warning')}"
