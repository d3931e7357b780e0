"""The start script of servers, and the registry that it pulls the image from."""

import base64

import pytest

from components.container_registry import registry_region
from components.user_data import encoded_start_script, start_script


def test_environment_variables_cannot_be_executed() -> None:
    """A value with shell syntax arrives in the container unchanged, and never appears in the script."""
    variables = {"A": "$(rm -rf /) `id` 'x' \"y\"", "B": "UNIT"}
    script = start_script("registry/name@sha256:0", "us-east-1", "/alpha/x/servers", variables)
    encoded = script.split("echo ", 1)[1].split(" ", 1)[0]
    assert base64.b64decode(encoded).decode() == "A=$(rm -rf /) `id` 'x' \"y\"\nB=UNIT\n"
    assert "rm -rf" not in script


def test_the_login_uses_the_registrys_own_region() -> None:
    """The registry can be in another region than the servers and their logs."""
    image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/x@sha256:0"
    script = start_script(image, "eu-west-1", "/alpha/x/servers", {})
    assert "get-login-password --region us-east-1" in script
    assert "awslogs-region=eu-west-1" in script


@pytest.mark.parametrize(
    ("registry", "region"),
    [("111111111111.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"), ("registry.example.com", "us-east-1")],
)
def test_only_an_ecr_registry_has_a_region(registry: str, region: str) -> None:
    """Any other registry is treated as if it were in the servers' region."""
    assert registry_region(registry, "us-east-1") == region


def test_user_data_is_encoded() -> None:
    """EC2 takes user data in base64."""
    arguments = ("registry/name@sha256:0", "us-east-1", "/alpha/x/servers", {"A": "1"})
    assert base64.b64decode(encoded_start_script(*arguments)).decode() == start_script(*arguments)
