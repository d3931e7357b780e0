"""The script that a server runs when it starts for the first time."""

import base64
import shlex
from collections.abc import Mapping

from components.container_registry import registry_of

# Docker logs in to ECR with the servers' role, and to no other registry. It finds that configuration through HOME,
# which the unit has to set, because systemd does not (awslabs/amazon-ecr-credential-helper#161).
# A new server may not reach its network yet, and another process may hold the lock of the package database
# (amazonlinux/amazon-linux-2023#397). 20 attempts take a little over three minutes.
PREPARE_DOCKER = """\
missing=()
docker_config='{}'
command -v docker >/dev/null || missing+=(docker)
if [[ $registry =~ ^[0-9]{12}\\.dkr\\.ecr(-fips)?\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?$ ]]; then
    docker_config="{\\"credHelpers\\": {\\"$registry\\": \\"ecr-login\\"}}"
    command -v docker-credential-ecr-login >/dev/null || missing+=(amazon-ecr-credential-helper)
fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v dnf >/dev/null; then
        echo "the machine image has no ${missing[*]}, and no dnf to install it: use an image of Amazon Linux 2023" >&2
        exit 1
    fi
    for attempt in {1..20}; do
        if dnf --assumeyes --quiet install "${missing[@]}"; then
            break
        elif [ "$attempt" = 20 ]; then
            echo "${missing[*]} could not be installed" >&2
            exit 1
        fi
        sleep 10
    done
fi
mkdir -p /root/.docker
echo "$docker_config" > /root/.docker/config.json
"""
DOCKER_RUN = (
    "/usr/bin/docker run --rm --name service --network host --read-only --tmpfs /tmp "
    "--cap-drop ALL --cap-add NET_BIND_SERVICE"
)


def encoded_start_script(image: str, region: str, log_group: str, variables: Mapping[str, str]) -> str:
    """Return the start script in base64, as EC2 takes user data."""
    return _base64(start_script(image, region, log_group, variables))


def start_script(image: str, region: str, log_group: str, variables: Mapping[str, str]) -> str:
    """Return a script that installs the release's container as a systemd service.

    systemd starts the container again after a crash and after a reboot. On Amazon Linux 2023, the script installs
    Docker and the credential helper for ECR, unless the machine image contains them. The variables are encoded in
    base64, so that no value can be executed as a part of the script.
    """
    environment_file = _base64("".join(f"{key}={value}\n" for key, value in variables.items()))
    run = (
        f"{DOCKER_RUN} --env-file /etc/service.env --log-driver awslogs --log-opt awslogs-region={region} "
        f"--log-opt awslogs-group={shlex.quote(log_group)} --log-opt tag=%H {shlex.quote(image)}"
    )
    return f"""#!/bin/bash
set -euo pipefail
umask 077
registry={shlex.quote(registry_of(image))}
{PREPARE_DOCKER}\
echo {environment_file} | base64 -d > /etc/service.env
cat > /etc/systemd/system/service.service <<'UNIT'
[Unit]
Description=The container of the release
After=docker.service network-online.target
Wants=network-online.target
Requires=docker.service
[Service]
Environment=HOME=/root
Restart=always
RestartSec=5
ExecStartPre=-/usr/bin/docker rm -f service
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
