"""The tags of every resource."""


def resource_tags(environment: str, name: str, service: str | None = None) -> dict[str, str]:
    """Return the tags of one resource.

    Each resource has its own tags. With the provider's default tags, one edit would change every resource of every
    service.
    """
    owner = {"Service": service} if service else {}
    return {"Name": name, "Environment": environment, "ManagedBy": "pulumi", **owner}
