"""`./infra new service`: adds a service, disabled in every environment."""

from pathlib import Path

import typer

from cli.exit_codes import ExitCode
from common.console import say
from services import all_services
from settings import scaffold
from settings.project_files import environment_names
from settings.service_spec import SharedLoadBalancerRule


def new_service(folder: Path, name: str, environments: list[str] | None) -> int:
    """Write a service's files, and print them and what to do next. environments: all if empty."""
    specs = all_services()
    priorities = [
        spec.balancer.priority + len(spec.redirects)
        for spec in specs.values()
        if isinstance(spec.balancer, SharedLoadBalancerRule)
    ]
    try:
        paths = scaffold.new_service(name, environments or environment_names(folder), folder, priorities, list(specs))
    except scaffold.CannotWriteError as error:
        say(f"{error} Nothing was written.")
        return ExitCode.FAILED
    for path in paths:
        typer.echo(f"wrote {path.relative_to(folder)}")
    typer.echo(next_steps(paths[-1].relative_to(folder)))
    return ExitCode.SUCCESS


def next_steps(module: Path) -> str:
    """Return what is left to do by hand. module: the file of the service's spec."""
    return (
        "\nNext:\n"
        f"  1. Describe the service in {module}: its host, load balancer, database, CDN and mail.\n"
        "  2. Replace the example release in each environment file, and adjust the sizing.\n"
        "  3. Set `enabled: true` where the service should run.\n"
        "  4. Check the result:\n\n"
        "  ./infra check"
    )
