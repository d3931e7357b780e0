"""The command line. Each command imports what it needs when it runs, so that `./infra --help` answers at once."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli import names

ROOT = Path(__file__).resolve().parent.parent
DEPLOY, RELEASES, CONFIGURE, DEVELOP = "Deploy", "Releases", "Configure", "Develop"
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Deploys environments of 100xglobal.com to a sandbox on this machine, and moves releases between them.\n\n"
    "On real AWS, plain Pulumi works as well: `pulumi up --stack beta`.",
)
sandbox_app = typer.Typer(no_args_is_help=True, help="Inspect, stop or empty the sandbox on this machine.")
new_app = typer.Typer(no_args_is_help=True, help="Add something new, such as a service.")
app.add_typer(sandbox_app, name="sandbox", rich_help_panel=DEVELOP)
app.add_typer(new_app, name="new", rich_help_panel=CONFIGURE)


Environment = Annotated[
    str,
    typer.Argument(metavar="ENVIRONMENT", help="An environment, such as alpha. It has a file Pulumi.ENVIRONMENT.yaml."),
]
Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="A service, such as members.", callback=names.known_service)
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="The version of a release, such as 1.4.2.")]
Reason = Annotated[str, typer.Option("--reason", help="Why. It is recorded in the journal.")]
On = Annotated[
    str,
    typer.Option(
        "--on", envvar="INFRA_ON", help="sandbox, or aws for the stacks that this shell's own pulumi is logged in to."
    ),
]
AllowChanges = Annotated[
    bool, typer.Option("--allow-changes", help="Accept every change without an approval. In the sandbox only.")
]
Wait = Annotated[
    float,
    typer.Option("--wait", min=0, help="How many minutes to wait while someone else updates the environment."),
]
ThenUp = Annotated[bool, typer.Option("--up", help="Then run the gate and deploy the environment.")]


# --- deploy


@app.command(context_settings=PASS_ON, rich_help_panel=DEPLOY)
def up(
    environment: Environment,
    context: typer.Context,
    *,
    allow_changes: AllowChanges = False,
    wait: Wait = 0,
    ask_first: Annotated[
        bool, typer.Option("--preflight/--no-preflight", help="On AWS, ask first whether it would refuse something.")
    ] = True,
    on: On = "sandbox",
) -> None:
    """Deploy an environment: preview it, run the gate, and apply exactly what passed.

    Missing tools of the sandbox are installed first, once per machine. Options that only change Pulumi's output, such
    as --diff and --message, are passed on.

    Exit codes: 3 if the gate failed, 4 if someone else is updating the environment, 5 if its servers are unhealthy.
    """
    from cli import backends
    from cli import up as command
    from cli.gate import Options

    backend = backends.backend_for(on, environment)
    options = Options(allow_changes, wait, tuple(context.args), ask_first)
    raise typer.Exit(command.up(ROOT, backend, environment, options))


@app.command(context_settings=PASS_ON, rich_help_panel=DEPLOY)
def preview(environment: Environment, context: typer.Context, on: On = "sandbox") -> None:
    """Show what `up` would change. Pulumi's own options are passed on, such as --diff and --json."""
    from cli import backends
    from cli import preview as command

    raise typer.Exit(command.preview(backends.backend_for(on, environment), environment, context.args))


@app.command(rich_help_panel=DEPLOY)
def gate(
    environment: Environment,
    layout: Annotated[str, typer.Option("--format", help="text, markdown or json.")] = "text",
    on: On = "sandbox",
) -> None:
    """Check what `up` would change: whatever does not follow from the configuration that differs fails the gate.

    Exit codes: 0 if the gate passed, 3 if it failed.
    """
    from cli import backends
    from cli import gate as command

    backend = backends.backend_for(on, environment)
    raise typer.Exit(command.gate(ROOT, backend, environment, layout, command.Options()))


@app.command(rich_help_panel=DEPLOY)
def preflight(environment: Environment, on: On = "sandbox") -> None:
    """Ask AWS, before anything is created, whether it would refuse the environment. Changes nothing.

    Looks at credentials, quotas, instance types, database versions, images, DNS and mail. `up --on aws` does it first.
    """
    from cli import backends
    from cli import preflight as command

    raise typer.Exit(command.preflight(ROOT, backends.backend_for(on, environment), environment))


@app.command(context_settings=PASS_ON, rich_help_panel=DEPLOY)
def organization(
    verb: Annotated[str, typer.Argument(metavar="preview|up|down", help="What to do with it in the sandbox.")],
    context: typer.Context,
) -> None:
    """What exists once for all environments, such as the registry of images: create it in the sandbox.

    On AWS: pulumi -C organization up. See docs/organization.md.
    """
    from cli import organization as command

    raise typer.Exit(command.run(verb, context.args))


@app.command(name="status", rich_help_panel=DEPLOY)
def show_status(
    service: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE",
            help="Show how this service's release differs between environments.",
            callback=names.known_service,
        ),
    ] = "",
    *,
    drift: Annotated[bool, typer.Option(help="Compare AWS with Pulumi's state. Takes seconds per environment.")] = True,
    on: On = "sandbox",
) -> None:
    """Show which release of each service runs in which environment, and what needs attention."""
    from cli import backends, status

    backend = backends.existing_backend(on)
    if backend is None:
        typer.echo(status.NOTHING_DEPLOYED)
        return
    if service:
        raise typer.Exit(status.show_service(ROOT, backend, service))
    raise typer.Exit(status.show_all(ROOT, backend, with_drift=drift))


@app.command(context_settings=PASS_ON, rich_help_panel=DEPLOY)
def down(environment: Environment, context: typer.Context) -> None:
    """Delete an environment from the sandbox. Refused if the environment protects its data, as on AWS."""
    from cli import pulumi

    raise typer.Exit(pulumi.down(environment, context.args))


# --- releases


@app.command(rich_help_panel=RELEASES)
def promote(
    service: Service,
    source: Annotated[str, typer.Option("--from", help="The environment that runs the release.")],
    target: Annotated[str, typer.Option("--to", help="The environment that gets it.")],
    *,
    then_up: ThenUp = False,
    hotfix: Annotated[
        bool, typer.Option("--hotfix", help="Skip the soak time, never the gate. Needs --reason.")
    ] = False,
    reason: Reason = "",
    wait: Wait = 0,
    on: On = "sandbox",
) -> None:
    """Promote a service's release from one environment to another.

    Refused unless the source runs exactly that release, it is healthy, it ran for the soak time, and nobody holds it.
    """
    from cli import backends
    from cli import promote as command
    from cli.gate import Options
    from release.promote import Request

    backend = backends.backend_for(on, source, target)
    request = Request(service, source, target, hotfix, reason, on)
    raise typer.Exit(command.promote(ROOT, backend, request, Options(wait_minutes=wait), then_up=then_up))


@app.command(rich_help_panel=RELEASES)
def rollback(
    service: Service,
    environment: Environment,
    reason: Reason = "",
    *,
    then_up: ThenUp = False,
    wait: Wait = 0,
    on: On = "sandbox",
) -> None:
    """Restore the previous release that is not on hold, and hold the current one everywhere."""
    from cli import backends
    from cli import rollback as command
    from cli.gate import Options
    from release.promote import Request

    backend = backends.backend_for(on, environment) if then_up else None
    request = Request(service, "", environment, reason=reason, backend=on)
    raise typer.Exit(command.rollback(ROOT, backend, request, Options(wait_minutes=wait)))


@app.command(rich_help_panel=RELEASES)
def hold(service: Service, version: Version, reason: Reason = "") -> None:
    """Hold a release: it cannot be promoted or deployed anywhere until the hold is lifted."""
    from cli import hold as command

    raise typer.Exit(command.hold(ROOT, service, version, reason))


@app.command(rich_help_panel=RELEASES)
def unhold(service: Service, version: Version, reason: Reason = "") -> None:
    """Lift the hold on a release."""
    from cli import hold as command

    raise typer.Exit(command.unhold(ROOT, service, version, reason))


@app.command(rich_help_panel=RELEASES)
def history(service: Service, on: On = "sandbox") -> None:
    """Show a service's promotions, deployments, rollbacks and holds: when, by whom and why."""
    from cli import backends
    from cli import history as command

    raise typer.Exit(command.history(ROOT, backends.existing_backend(on), service))


@app.command(rich_help_panel=RELEASES)
def approve(
    environment: Environment,
    reason: Reason = "",
    days: Annotated[int, typer.Option("--days", help="For how many days it is valid.", min=1, max=30)] = 3,
    on: On = "sandbox",
) -> None:
    """Approve exactly the changes that fail the gate. Writes files to commit, one for each service concerned."""
    from cli import backends
    from cli import gate as command

    raise typer.Exit(command.approve(ROOT, backends.backend_for(on, environment), environment, reason, days))


# --- configure


@app.command(rich_help_panel=CONFIGURE)
def check(
    output: Annotated[
        str, typer.Option("--format", help="text, json, or github for annotations of a pull request.")
    ] = "",
) -> None:
    """Check the files of all environments, alone and together. Needs no network, credentials or engine."""
    from cli import check as command

    layout = output or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")
    raise typer.Exit(command.check(ROOT, layout))


@app.command(rich_help_panel=CONFIGURE)
def explain(
    field: Annotated[
        str, typer.Argument(metavar="FIELD", help="A field, such as services.members.release.image, or environment.")
    ],
) -> None:
    """Explain a field of the environment files: its type, default and limits, and whether it is promoted."""
    from cli import explain as command

    raise typer.Exit(command.explain(field))


@app.command(rich_help_panel=CONFIGURE)
def schema() -> None:
    """Write the JSON Schema with which editors complete and check the environment files."""
    from settings.reference import SCHEMA_FILE, schema_text

    (ROOT / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")


@new_app.command(name="service")
def new_service(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name and its host. At most 11 characters.")],
    environments: Annotated[
        list[str] | None, typer.Option("--in", help="An environment to add it to. May be repeated; default: all.")
    ] = None,
) -> None:
    """Add a service: services/NAME.py, and a disabled block in each environment's file."""
    from cli import new

    raise typer.Exit(new.new_service(ROOT, name, environments))


# --- develop


@app.command(context_settings=PASS_ON, rich_help_panel=DEVELOP)
def test(
    context: typer.Context,
    which: Annotated[
        str,
        typer.Argument(
            metavar="unit|engine|all",
            help="unit: with Pulumi's mocks. engine: with the real engine, in a sandbox of its own.",
        ),
    ] = "all",
) -> None:
    """Run the tests. Other options are passed on to pytest, such as -k NAME.

    Exit code 6 means that the engine could not be installed, so the engine tests did not run.
    """
    from cli import test as command

    raise typer.Exit(command.run(ROOT, which, context.args))


@app.command(rich_help_panel=DEVELOP)
def lint(*, fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed automatically.")] = False) -> None:
    """Check style, types, documents and workflows."""
    from cli import lint as command

    raise typer.Exit(command.lint(ROOT, fix=fix))


@app.command(rich_help_panel=DEVELOP)
def docs() -> None:
    """Write docs/components.md again from the docstrings of the components."""
    from cli import component_docs

    raise typer.Exit(component_docs.write(ROOT))


@app.command(rich_help_panel=DEVELOP)
def lock() -> None:
    """Write the requirements files again from pyproject.toml and the emulator's requirements.in."""
    from cli import lock as command

    command.lock(ROOT)


@app.command(name="pulumi", context_settings={**PASS_ON, "help_option_names": []}, rich_help_panel=DEVELOP)
def run_pulumi(context: typer.Context) -> None:
    """Run any Pulumi command in the sandbox, such as `./infra pulumi stack --show-urns --stack alpha`."""
    from cli import pulumi

    raise typer.Exit(pulumi.run_pulumi(context.args))


@app.command(rich_help_panel=DEVELOP)
def env(
    environment: Annotated[
        str, typer.Argument(metavar="ENVIRONMENT", help="The environment whose account to use.")
    ] = "alpha",
) -> None:
    """Print the variables that make plain `pulumi` use the sandbox.

    They last until the shell ends:  eval "$(./infra env beta)"
    """
    from cli import pulumi

    typer.echo(pulumi.exports(environment), nl=False)


@sandbox_app.command()
def status() -> None:
    """Show whether the emulator runs, and what the sandbox contains."""
    from cli import sandbox

    raise typer.Exit(sandbox.status())


@sandbox_app.command()
def stop() -> None:
    """Stop the emulator. Its data is kept; the next `up` starts it again."""
    from cli import sandbox

    raise typer.Exit(sandbox.stop())


@sandbox_app.command()
def reset(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False) -> None:
    """Delete everything in this clone's sandbox. Tools that are installed once per machine stay."""
    from cli import sandbox

    raise typer.Exit(sandbox.reset(yes=yes))
