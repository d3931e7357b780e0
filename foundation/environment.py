"""The foundation of one environment, put together."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.iam.open_id_connect_provider import OpenIdConnectProvider

from components.load_balanced_instance_group import GroupNetwork
from components.names import CERTIFICATE_REGION, tags
from components.service_environment import SharedFoundation
from foundation.front_door import FrontDoor, FrontDoorArgs
from foundation.network import Network, NetworkArgs
from foundation.records import Records, RecordsArgs
from foundation.zone import Zone, ZoneArgs
from settings.models import Settings

TYPE = "hundredx:foundation:Foundation"


@dataclass(frozen=True)
class MadeFoundation:
    """What the foundation gives: handles for the services, and what the stack's outputs say of it."""

    shared: SharedFoundation
    outputs: dict[str, pulumi.Input[object]]


class Foundation(pulumi.ComponentResource):
    """Network, zone, key, logs, alarms and front door of an environment."""

    made: MadeFoundation

    def __init__(self, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the foundation that the settings describe."""
        super().__init__(TYPE, "foundation", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        env, name = settings.environment, settings.name
        durable, operations = env.durability, env.operations
        records = Records("records", RecordsArgs(name, settings.account_id, settings.region, operations.log_days, tuple(operations.alarm_emails), durable.protect_data), child)
        network = Network(
            "network",
            NetworkArgs(
                environment=name,
                region=settings.region,
                cidr=env.network.cidr,
                zones=tuple(sorted(env.network.zones)),
                nat_per_zone=env.network.nat == "per_zone",
                interface_endpoints=tuple(sorted(env.network.interface_endpoints)),
                log_key_arn=records.key_arn,
                log_days=operations.log_days,
            ),
            child,
        )
        delegations = {label: tuple(servers) for label, servers in env.dns.delegations.items()}
        zone_log_key = records.key_arn if settings.region == CERTIFICATE_REGION else None
        zone = Zone("zone", ZoneArgs(name, settings.account_id, env.domain, delegations, zone_log_key, operations.log_days, durable.protect_data), child)
        door = FrontDoor(
            "front-door",
            FrontDoorArgs(name, env.domain, network.vpc_id, network.subnet_ids["public"], zone.zone_id, records.balancer_log_bucket, tuple(env.access.allow), durable.protect_data),
            child,
        )
        identity = None
        if operations.github_repository:
            identity = OpenIdConnectProvider(
                "deploys", url="https://token.actions.githubusercontent.com", client_id_lists=["sts.amazonaws.com"], tags=tags(name, f"{name}-deploys"), opts=child
            )
        shared = SharedFoundation(
            environment=name,
            domain=env.domain,
            region=settings.region,
            account_id=settings.account_id,
            network=GroupNetwork(
                vpc_id=network.vpc_id,
                public_subnet_ids=network.subnet_ids["public"],
                application_subnet_ids=network.subnet_ids["application"],
                zone_id=zone.zone_id,
                access_log_bucket=records.balancer_log_bucket,
                allow=tuple(env.access.allow),
            ),
            data_subnet_ids=network.subnet_ids["data"],
            front_door=door.handle,
            cdn_log_bucket=records.cdn_log_bucket,
            cdn_log_bucket_domain=records.cdn_log_bucket_domain,
            alarm_topic_arn=records.alarm_topic_arn,
            deploy_identity_provider_arn=identity.arn if identity else None,
            github_repository=operations.github_repository,
            log_days=operations.log_days,
            backup_days=durable.backup_days,
            protect_data=durable.protect_data,
        )
        outputs: dict[str, pulumi.Input[object]] = {"domain": env.domain, "name_servers": zone.name_servers, "vpc_id": network.vpc_id}
        self.made = MadeFoundation(shared, outputs)
        self.register_outputs(outputs)
