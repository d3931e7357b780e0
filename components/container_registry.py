"""What the address of a container registry says."""


def registry_region(registry: str, default: str) -> str:
    """Return the region of an ECR registry, which may not be the servers' region. default: for any other registry."""
    parts = registry.split(".")
    return parts[parts.index("ecr") + 1] if "ecr" in parts else default
