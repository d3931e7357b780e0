"""The foundation of one environment."""

from collections.abc import Mapping

import pulumi
from pulumi_aws.iam.open_id_connect_provider import OpenIdConnectProvider

from components import type_tokens
from components.constants import GLOBAL_SERVICES_REGION
from components.policies.deployments import GITHUB_ISSUER
from components.shared_foundation import ServiceNetwork, SharedFoundation
from components.tags import resource_tags
from foundation.logging import Logging, LoggingArgs
from foundation.network import Network, NetworkArgs
from foundation.shared_load_balancer import SharedLoadBalancer, SharedLoadBalancerArgs
from foundation.zone import Zone, ZoneArgs
from settings.models import Settings
from settings.service_spec import ServiceSpec


class Foundation(pulumi.ComponentResource):
    """An environment's network, zone, shared load balancer, logs, alarm topic, key and deploy identity.

    Does not create anything that belongs to a single service. Does not register the domain or delegate it to the zone:
    enter the name servers, which are an output, in the parent zone or at the registrar.
    """

    shared: SharedFoundation
    outputs: dict[str, pulumi.Input[object]]

    def __init__(
        self, settings: Settings, specs: Mapping[str, ServiceSpec], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Create the foundation that the settings describe. specs: the enabled services', which may need a record."""
        super().__init__(type_tokens.FOUNDATION, "foundation", None, opts)
        self._settings, self._environment = settings, settings.environment
        self._specs = specs
        self._protect_data = settings.environment.durability.protect_data
        self._child = pulumi.ResourceOptions(parent=self)
        logging = self._logging()
        network = self._network(logging)
        zone = self._zone(logging)
        service_network = ServiceNetwork(
            vpc_id=network.vpc_id,
            public_subnet_ids=network.subnet_ids["public"],
            application_subnet_ids=network.subnet_ids["application"],
            zone_id=zone.zone_id,
            access_log_bucket=logging.balancer_log_bucket,
            allowed_cidrs=tuple(settings.environment.access.allow),
        )
        self.shared = SharedFoundation(
            environment_name=settings.name,
            region=settings.region,
            account_id=settings.account_id,
            environment=settings.environment,
            network=service_network,
            data_subnet_ids=network.subnet_ids["data"],
            shared_load_balancer=self._shared_load_balancer(service_network).ref,
            cdn_log_bucket=logging.cdn_log_bucket,
            cdn_log_bucket_domain=logging.cdn_log_bucket_domain,
            alarm_topic_arn=logging.alarm_topic_arn,
            deploy_identity_provider_arn=self._deploy_identity_provider_arn(),
        )
        self.outputs = {
            "domain": settings.environment.domain,
            "name_servers": zone.name_servers,
            "vpc_id": network.vpc_id,
        }
        self.register_outputs(self.outputs)

    def _logging(self) -> Logging:
        """Create the key, the log buckets and the alarm topic."""
        args = LoggingArgs(
            environment=self._settings.name,
            account_id=self._settings.account_id,
            region=self._settings.region,
            operations=self._environment.operations,
            protect_data=self._protect_data,
        )
        return Logging("records", args, self._child)

    def _network(self, logging: Logging) -> Network:
        """Create the VPC."""
        args = NetworkArgs(
            environment=self._settings.name,
            region=self._settings.region,
            network=self._environment.network,
            log_key_arn=logging.key_arn,
            log_days=self._environment.operations.log_days,
        )
        return Network("network", args, self._child)

    def _zone(self, logging: Logging) -> Zone:
        """Create the hosted zone. The key can only encrypt the log of its queries if it is in the same region."""
        args = ZoneArgs(
            environment=self._settings.name,
            account_id=self._settings.account_id,
            domain=self._environment.domain,
            delegations=self._environment.dns.delegations,
            records=self._environment.dns.records,
            has_mail=any(spec.sends_mail and not spec.host for spec in self._specs.values()),
            log_key_arn=logging.key_arn if self._settings.region == GLOBAL_SERVICES_REGION else None,
            log_days=self._environment.operations.log_days,
            protect_data=self._protect_data,
        )
        return Zone("zone", args, self._child)

    def _shared_load_balancer(self, network: ServiceNetwork) -> SharedLoadBalancer:
        """Create the shared load balancer."""
        args = SharedLoadBalancerArgs(
            environment=self._settings.name,
            domain=self._environment.domain,
            vpc_id=network.vpc_id,
            public_subnet_ids=network.public_subnet_ids,
            zone_id=network.zone_id,
            access_log_bucket=network.access_log_bucket,
            allowed_cidrs=network.allowed_cidrs,
            protect=self._protect_data,
        )
        return SharedLoadBalancer("front-door", args, self._child)

    def _deploy_identity_provider_arn(self) -> pulumi.Output[str] | None:
        """Let IAM trust GitHub's workflows, if the environment has a repository."""
        if self._environment.operations.github_repository is None:
            return None
        return OpenIdConnectProvider(
            "deploys",
            url=f"https://{GITHUB_ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            tags=resource_tags(self._settings.name, f"{self._settings.name}-deploys"),
            opts=self._child,
        ).arn
