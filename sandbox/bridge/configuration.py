"""The settings of one provider resource, and the check that it uses the emulator.

Settings are JSON-like and have no fixed type, hence `Any`.
"""

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import grpc

from sandbox.bridge.bridge_error import BridgeError
from sandbox.bridge.pulumi_values import PULUMI_UNKNOWN, unwrap

# The first two are pulumi-aws's own defaults. With the provider's 25 retries, an emulator that has stopped would be
# noticed only after minutes. A bucket's name is not a host on this machine, so it goes into the path.
DEFAULT_SETTINGS = {"skipMetadataApiCheck": True, "skipRegionValidation": True, "maxRetries": 5, "s3UsePathStyle": True}
STRING_SETTINGS = {"region"}  # never JSON, whatever they look like
ENGINE_SETTINGS = {"version", "pluginDownloadURL"}  # about the plugin, not for it
# In the sandbox, credentials and endpoints come from environment variables only.
CREDENTIAL_SETTINGS = {
    "accessKey",
    "secretKey",
    "token",
    "profile",
    "sharedConfigFiles",
    "sharedCredentialsFiles",
    "assumeRoles",
    "assumeRoleWithWebIdentity",
    "endpoints",
    "ec2MetadataServiceEndpoint",
}
LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1"}
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"  # also the prefix of the variables for single services
IGNORE_ENDPOINTS_VARIABLE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"


def require_emulator(environment: Mapping[str, str]) -> None:
    """Refuse environment variables with which the provider would not use an emulator on this machine."""
    reason = endpoint_problem(environment)
    if reason:
        raise BridgeError(
            f"the sandbox's AWS provider connects only to an emulator on this machine, but {reason}.\n"
            "Use ./infra, or set the sandbox's variables in this shell first:\n"
            '  eval "$(./infra env)"\n'
            "To use real AWS, install Pulumi's own CLI and plugins.",
            grpc.StatusCode.FAILED_PRECONDITION,
        )


def endpoint_problem(environment: Mapping[str, str]) -> str:
    """Return which variable would lead the provider to another machine, and why; empty if none would."""
    if environment.get(IGNORE_ENDPOINTS_VARIABLE, "").lower() == "true":
        return f"{IGNORE_ENDPOINTS_VARIABLE} is true"
    if not environment.get(ENDPOINT_VARIABLE):
        return f"{ENDPOINT_VARIABLE} is not set"
    for name, value in environment.items():
        if name.startswith(ENDPOINT_VARIABLE) and urllib.parse.urlparse(value).hostname not in LOOPBACK_HOSTS:
            return f"{name} is {value or 'empty'}"
    return ""


def settings_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in Configure's arguments, without those of the engine."""
    return {
        key: value if key in STRING_SETTINGS else parse_setting(value)
        for key, value in unwrap(arguments).items()
        if key not in ENGINE_SETTINGS and not key.startswith("__")
    }


def parse_setting(value: Any) -> Any:
    """Return a setting's value. The engine sends everything that is not a string as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return unwrap(json.loads(value))
    except ValueError:
        return value


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ."""
    return [
        key
        for key in sorted({*old, *new})
        if key not in ENGINE_SETTINGS and unwrap(old.get(key)) != unwrap(new.get(key))
    ]


def replaces_resources(setting: str, new: Mapping[str, Any]) -> bool:
    """Tell whether the change of a setting replaces the provider's resources: they cannot move to another region."""
    return setting == "region" and unwrap(new.get(setting)) != PULUMI_UNKNOWN
