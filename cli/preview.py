"""`./infra preview`: what `up` would change, as Pulumi shows it."""

from cli.backends import Backend, parallel_option


def preview(backend: Backend, environment: str, options: list[str]) -> int:
    """Show what would change."""
    command = ["preview", "--stack", environment, *parallel_option(), *options]
    return backend.run(command, environment).exit_code
