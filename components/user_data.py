"""The script that a server runs when it starts for the first time."""

import base64
import shlex
from collections.abc import Mapping

from components.container_registry import registry_region

DOCKER_RUN = (
    "/usr/bin/docker run --rm --name service --network host --read-only --tmpfs /tmp "
    "--cap-drop ALL --cap-add NET_BIND_SERVICE"
)


def encoded_start_script(image: str, region: str, log_group: str, variables: Mapping[str, str]) -> str:
    """Return the start script in base64, as EC2 takes user data."""
    return _base64(start_script(image, region, log_group, variables))


def start_script(image: str, region: str, log_group: str, variables: Mapping[str, str]) -> str:
    """Return a script that installs the release's container as a systemd service.

    systemd starts the container again after a crash and after a reboot. The machine image must contain Docker, the AWS
    CLI and the Systems Manager agent, as Amazon's ECS-optimized images do. The variables are encoded in base64, so that
    no value can be executed as a part of the script.
    """
    environment_file = _base64("".join(f"{key}={value}\n" for key, value in variables.items()))
    registry = image.split("/", maxsplit=1)[0]
    login = (
        f"aws ecr get-login-password --region {registry_region(registry, region)} "
        f"| docker login --username AWS --password-stdin {registry}"
    )
    run = (
        f"{DOCKER_RUN} --env-file /etc/service.env --log-driver awslogs --log-opt awslogs-region={region} "
        f"--log-opt awslogs-group={shlex.quote(log_group)} --log-opt tag=%H {shlex.quote(image)}"
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
ExecStartPre=/bin/bash -c '{login}'
ExecStart={run}
ExecStop=/usr/bin/docker stop --time 30 service
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now service
"""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
