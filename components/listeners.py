"""Creates the HTTP and HTTPS listeners of application load balancers."""

from collections.abc import Mapping

import pulumi
from pulumi_aws.lb import ListenerDefaultActionArgsDict
from pulumi_aws.lb.listener import Listener

from components.constants import HTTP_PORT, HTTPS_PORT, TLS_POLICY


def https_listener(
    name: str,
    *,
    load_balancer_arn: pulumi.Input[str],
    certificate_arn: pulumi.Input[str],
    default_action: ListenerDefaultActionArgsDict,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> Listener:
    """Create a listener for HTTPS. default_action: what happens to a request that no listener rule matches."""
    return Listener(
        name,
        load_balancer_arn=load_balancer_arn,
        port=HTTPS_PORT,
        protocol="HTTPS",
        ssl_policy=TLS_POLICY,
        certificate_arn=certificate_arn,
        default_actions=[default_action],
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def https_redirect_listener(
    name: str, *, load_balancer_arn: pulumi.Input[str], tags: Mapping[str, str], parent: pulumi.Resource
) -> Listener:
    """Create a listener for HTTP that redirects every request to HTTPS."""
    return Listener(
        name,
        load_balancer_arn=load_balancer_arn,
        port=HTTP_PORT,
        protocol="HTTP",
        default_actions=[
            {
                "type": "redirect",
                "redirect": {"port": str(HTTPS_PORT), "protocol": "HTTPS", "status_code": "HTTP_301"},
            }
        ],
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
