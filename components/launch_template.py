"""Creates the launch template that a service's servers start from."""

import pulumi
from pulumi_aws.ec2.launch_template import LaunchTemplate

from components.instance_group_args import LoadBalancedInstanceGroupArgs
from components.user_data import encoded_start_script


def launch_template(name: str, args: LoadBalancedInstanceGroupArgs, *, parent: pulumi.Resource) -> LaunchTemplate:
    """Create a launch template with encrypted disks and without a key pair."""
    server_tags = {**args.tags, "Name": name}
    return LaunchTemplate(
        f"{name}-template",
        description=f"Servers of {name}",
        image_id=args.release.machine_image,
        instance_type=args.sizing.instance_type,
        iam_instance_profile={"arn": args.instance_profile_arn},
        vpc_security_group_ids=[args.server_security_group_id],
        user_data=_user_data(args),
        update_default_version=True,
        ebs_optimized="true",
        # EC2.8: no metadata without a session token. One hop is enough, because containers use the server's network.
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
            "instance_metadata_tags": "enabled",
        },
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_size": args.sizing.disk_gb,
                    "volume_type": "gp3",
                    "encrypted": "true",
                    "kms_key_id": args.key_arn,
                    "delete_on_termination": "true",
                },
            }
        ],
        monitoring={"enabled": True},
        tag_specifications=[
            {"resource_type": resource_type, "tags": server_tags}
            for resource_type in ("instance", "volume", "network-interface")
        ],
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _user_data(args: LoadBalancedInstanceGroupArgs) -> pulumi.Output[str]:
    """Return the start script. The variables are sorted, so that their order in a file changes no server."""
    return pulumi.Output.all(
        log_group=args.log_group_name, variables=dict(sorted(args.environment_variables.items()))
    ).apply(
        lambda values: encoded_start_script(args.release.image, args.region, values["log_group"], values["variables"])
    )
