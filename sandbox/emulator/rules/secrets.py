"""Secrets Manager: names of deleted secrets."""

from typing import Any

from ministack.services import secretsmanager

from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/secretsmanager/latest/apireference"


@rule(secretsmanager, "_create_secret", source=f"{API}/API_DeleteSecret.html")
def deleted_secret(data: Any) -> Refusal | None:
    """The name of a deleted secret is free when its recovery window has ended."""
    secret = secretsmanager._secrets.get(data.get("Name")) or {}
    if secret.get("DeletedDate"):
        message = "You can't create this secret because a secret with this name is already scheduled for deletion."
        return Refusal("InvalidRequestException", message)
    return None
