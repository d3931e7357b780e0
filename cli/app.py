"""The command line. Each verb imports what it needs when it runs, so that `./infra --help` answers at once."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Brings environments of 100xglobal.com up on this machine (`up`), and looks after their code (`test`, `lint`).\n\nOn real AWS use plain Pulumi: `pulumi up --stack beta`.",
)
sandbox_app = typer.Typer(no_args_is_help=True, help="The emulated AWS on this machine: is it running, stop it, forget everything in it.")
app.add_typer(sandbox_app, name="sandbox")
new_app = typer.Typer(no_args_is_help=True, help="Write what is new: a service.")
app.add_typer(new_app, name="new")

Environment = Annotated[str, typer.Argument(help="The environment: a Pulumi.<environment>.yaml in this folder, such as alpha.", metavar="ENVIRONMENT")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


On = Annotated[str, typer.Option("--on", envvar="INFRA_ON", help="sandbox, or aws: the stacks that this shell's own pulumi is logged in to.")]
Meant = Annotated[
    list[str] | None, typer.Option("--meant", help="A service whose change is meant though its block did not change, as after a change of code; or foundation, or everything.")
]
Wait = Annotated[float, typer.Option("--wait", help="Minutes to wait in the queue while another changes the environment. 0: do not wait.", min=0)]


@app.command(context_settings=PASS_ON)
def up(environment: Environment, context: typer.Context, meant: Meant = None, wait: Wait = 0, on: On = "sandbox") -> None:
    """Create or update an environment: what would change is gated, and exactly that is applied by a real `pulumi up`.

    In the sandbox against an emulated AWS; what the machine lacks for it is fetched or built first, once. Options
    of Pulumi's that only show more (--diff, --message) are passed on. Exits 3 when the gate is closed, 4 when another is changing the environment, 5 when its servers did
    not come up.
    """
    from cli import gating, places

    raise typer.Exit(gating.up(ROOT, places.checked(on, environment), environment, gating.Options(tuple(meant or ()), wait, tuple(context.args))))


@app.command(context_settings=PASS_ON)
def preview(environment: Environment, context: typer.Context) -> None:
    """Show what `up` would change in the sandbox. More options are passed on, such as --diff or --json."""
    from cli import stacks

    raise typer.Exit(stacks.preview(environment, context.args))


@app.command(context_settings=PASS_ON)
def down(environment: Environment, context: typer.Context) -> None:
    """Delete an environment from the sandbox. Refused by environments that protect their data, as in AWS."""
    from cli import stacks

    raise typer.Exit(stacks.down(environment, context.args))


@app.command(name="pulumi", context_settings={**PASS_ON, "help_option_names": []})
def run_pulumi(context: typer.Context) -> None:
    """Run any Pulumi command in the sandbox, for example `./infra pulumi stack --show-urns --stack alpha`."""
    from cli import stacks

    raise typer.Exit(stacks.run_pulumi(context.args))


@app.command()
def env(environment: Annotated[str, typer.Argument(help="Whose account the commands act in.", metavar="[ENVIRONMENT]")] = "alpha") -> None:
    """Print the exports that make plain `pulumi` work against the sandbox.

    Use it as: eval "$(./infra env beta)". They hold for that shell until it ends.
    """
    from cli import stacks

    typer.echo(stacks.exports(environment), nl=False)


@app.command()
def check(
    output: Annotated[str, typer.Option("--format", help="text, json, or github for annotations in a pull request.")] = "",
) -> None:
    """Check the files of all environments, alone and against each other. Needs no network, credentials or engine."""
    from cli import checking

    raise typer.Exit(checking.check(ROOT, output or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")))


@app.command()
def explain(field: Annotated[str, typer.Argument(help="A field such as services.members.release.image, or only `environment`.", metavar="FIELD")]) -> None:
    """Say what a field of Pulumi.<environment>.yaml means: type, default, limits, and whether it is promoted."""
    from cli import checking

    raise typer.Exit(checking.explain(field))


@app.command()
def schema() -> None:
    """Write the JSON Schema of the environments' files anew, by which editors complete and check them."""
    from settings.reference import SCHEMA_FILE, schema_text

    (ROOT / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")


@new_app.command(name="service")
def new_service(
    name: Annotated[str, typer.Argument(help="Its name, which is its host too: at most 11 characters.", metavar="NAME")],
    environments: Annotated[list[str] | None, typer.Option("--in", help="An environment that wants it; once for each. All, where left out.")] = None,
) -> None:
    """Write a new service: services/NAME.py, and a block that is switched off in each environment's file."""
    from cli import checking

    raise typer.Exit(checking.new_service(ROOT, name, environments))


Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the record.")]


@app.command()
def promote(
    service: Annotated[str, typer.Argument(help="The service whose release moves.", metavar="SERVICE")],
    source: Annotated[str, typer.Option("--from", help="The environment that runs it.")],
    target: Annotated[str, typer.Option("--to", help="The environment that gets it.")],
    *,
    then_up: Annotated[bool, typer.Option("--up", help="Then pass the gate and bring the target up.")] = False,
    hotfix: Annotated[bool, typer.Option("--hotfix", help="Skip the soak, never the gate; needs --reason.")] = False,
    reason: Reason = "",
    wait: Wait = 0,
    on: On = "sandbox",
) -> None:
    """Move one service's release from an environment's file to another's, and record it.

    Refused unless the source runs exactly that release, healthy, for long enough, and nothing holds it.
    """
    from cli import gating, places, promotion
    from release.promote import Request

    raise typer.Exit(
        promotion.promote(ROOT, places.checked(on, source, target), Request(service, source, target, hotfix, reason, on), gating.Options(wait_minutes=wait), then_up=then_up)
    )


@app.command()
def gate(environment: Environment, layout: Annotated[str, typer.Option("--format", help="text, markdown or json.")] = "text", meant: Meant = None, on: On = "sandbox") -> None:
    """Refuse what nobody meant: changes outside the services whose blocks changed, lost data, wider access.

    Exits 0 when open and 3 when closed. What is meant all the same is signed off: `./infra sign-off`.
    """
    from cli import gating, places

    raise typer.Exit(gating.gate(ROOT, places.checked(on, environment), environment, layout, gating.Options(tuple(meant or ()))))


@app.command(name="sign-off")
def sign_off(
    urn: Annotated[str, typer.Argument(metavar="URN")],
    rule: Annotated[str, typer.Option("--rule", help="What the gate refused: outside, data, protect, widening, provider or record.")],
    reason: Reason = "",
    days: Annotated[int, typer.Option("--days", help="How long it counts, at most 30.", min=1, max=30)] = 3,
) -> None:
    """Write down that something the gate refuses is meant: a file in the repository, for one URN and one rule, with an end."""
    from cli import promotion

    raise typer.Exit(promotion.sign_off(ROOT, urn, rule, reason, days))


@app.command()
def rollback(
    service: Annotated[str, typer.Argument(metavar="SERVICE")],
    environment: Environment,
    reason: Reason = "",
    *,
    then_up: Annotated[bool, typer.Option("--up", help="Then pass the gate and bring the environment up.")] = False,
    wait: Wait = 0,
    on: On = "sandbox",
) -> None:
    """Put back the newest release before the last promotion that is not held, and hold the bad one everywhere."""
    from cli import gating, places, promotion
    from release.promote import Request

    place = places.checked(on, environment) if then_up else None
    raise typer.Exit(promotion.rollback(ROOT, place, Request(service, "", environment, reason=reason, place=on), gating.Options(wait_minutes=wait)))


@app.command()
def hold(service: Annotated[str, typer.Argument(metavar="SERVICE")], version: Annotated[str, typer.Argument(metavar="VERSION")], reason: Reason = "") -> None:
    """Hold a release: it is promoted nowhere until the hold is lifted."""
    from cli import promotion

    raise typer.Exit(promotion.hold(ROOT, service, version, reason, lift=False))


@app.command(name="release-hold")
def release_hold(service: Annotated[str, typer.Argument(metavar="SERVICE")], version: Annotated[str, typer.Argument(metavar="VERSION")], reason: Reason = "") -> None:
    """Lift the hold on a release."""
    from cli import promotion

    raise typer.Exit(promotion.hold(ROOT, service, version, reason, lift=True))


@app.command()
def history(service: Annotated[str, typer.Argument(metavar="SERVICE")], on: On = "sandbox") -> None:
    """Show what was promoted, arrived, was rolled back and held of a service: when, by whom, why."""
    from cli import places, promotion

    raise typer.Exit(promotion.history(ROOT, places.if_there(on), service))


@app.command(name="status")
def show_status(
    service: Annotated[str, typer.Argument(help="One service: what exactly differs of it between the environments, sizing aside.", metavar="[SERVICE]")] = "",
    *,
    drift: Annotated[bool, typer.Option(help="Compare what is there with what Pulumi left; some seconds an environment.")] = True,
    on: On = "sandbox",
) -> None:
    """Show which release of each service runs in which environment, since when: soaking, held, behind, drifted."""
    from cli import overview, places

    place = places.if_there(on)
    if place is None:
        typer.echo("no environment is up here: ./infra up alpha")
        return
    raise typer.Exit(overview.show_service(ROOT, place, service) if service else overview.show(ROOT, place, drift=drift))


@app.command(context_settings=PASS_ON)
def test(
    context: typer.Context,
    which: Annotated[str, typer.Argument(help="unit: with Pulumi's mocks. engine: on the real engine in a sandbox of its own. all: both.", metavar="[unit|engine|all]")] = "all",
) -> None:
    """Run the tests. More options are passed on to pytest, such as -k NAME.

    Exits 6 when the engine tests could not run because no engine can be had: that is not a full run.
    """
    from cli import testing

    raise typer.Exit(testing.run(ROOT, which, context.args))


@app.command()
def lint(*, fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False) -> None:
    """Check the style (ruff) and the types (mypy --strict) of all code, and the workflows (zizmor, actionlint)."""
    from cli import linting

    raise typer.Exit(linting.lint(ROOT, fix=fix))


@app.command()
def lock() -> None:
    """Lock the requirements anew: requirements*.txt from pyproject.toml, the emulator's from its requirements.in."""
    compile_command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    for arguments in (
        ["pyproject.toml", "-o", "requirements.txt"],
        ["pyproject.toml", "--group", "dev", "-o", "requirements-dev.txt"],
        ["sandbox/emulator/requirements.in", "-o", "sandbox/emulator/requirements.txt"],
    ):
        subprocess.run([*compile_command, *arguments], cwd=ROOT, check=True)


@sandbox_app.command()
def status() -> None:
    """Show whether the emulated AWS runs, where, and what the sandbox holds."""
    from cli import sandbox_state

    raise typer.Exit(sandbox_state.status())


@sandbox_app.command()
def stop() -> None:
    """Stop the emulated AWS. Its state stays; the next `up` starts it again."""
    from cli import sandbox_state

    raise typer.Exit(sandbox_state.stop())


@sandbox_app.command()
def reset(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop the emulated AWS and forget all that this clone's sandbox holds. What is built once a machine stays."""
    from cli import sandbox_state

    raise typer.Exit(sandbox_state.reset(yes=yes))
