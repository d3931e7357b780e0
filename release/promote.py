"""Decides whether a release may move, and moves it: the decision is pure, the move is one file's block and one event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from release import blocks, record
from release.deployed import SERVICES_KEY, Deployed
from release.record import Event

# The way of a release, and how long it must have run where it comes from. Staging is beside the way: nobody waits for it.
PATH = ("alpha", "beta", "prod")
SOAK = {("alpha", "beta"): timedelta(hours=1), ("beta", "prod"): timedelta(hours=24)}


class RefusedError(Exception):
    """A release may not move; the text holds every reason, and the way out."""


@dataclass(frozen=True)
class Request:
    """What somebody asks for. hotfix: skips the soak and may skip an environment; needs a reason."""

    service: str
    source: str
    target: str
    hotfix: bool = False
    reason: str = ""


def file_of(environment: str) -> str:
    """Return an environment's file."""
    return f"Pulumi.{environment}.yaml"


def services_in(text: str) -> Mapping[str, Any]:
    """Return the services that a file's text holds."""
    document = YAML(typ="safe").load(text) or {}
    services: Mapping[str, Any] = (document.get("config") or {}).get(SERVICES_KEY) or {}
    return services


def reasons_against(request: Request, wanted: Mapping[str, Any], source: Deployed, events: Sequence[Event], at: datetime) -> tuple[list[str], list[str]]:
    """Return why the release may not move, and what was looked at and found good."""
    against: list[str] = []
    checks: list[str] = []
    pair = (request.source, request.target)
    if pair not in SOAK and not request.hotfix:
        against.append(f"{request.source} is not the environment before {request.target}: releases go {' -> '.join(PATH)}. What cannot wait is a --hotfix with a --reason")
    if request.hotfix and not request.reason.strip():
        against.append("a hotfix needs a --reason: it stands in the record")
    runs = source.release(request.service)
    if runs is None:
        against.append(f"{request.service} does not run in {request.source}: `./infra up {request.source}` first")
    elif runs != wanted:
        against.append(
            f"{request.source} runs {request.service} {runs.get('version')}, and {file_of(request.source)} says {wanted.get('version')}"
            f"{' with other settings' if runs.get('version') == wanted.get('version') else ''}: bring {request.source} up, so that what is promoted is what was tried"
        )
    else:
        checks.append(f"{request.source} runs exactly this release")
    troubles = source.troubles(request.service)
    against += [f"{trouble}: {request.service} cannot be called healthy there" for trouble in troubles]
    if not troubles:
        checks.append("no failed update, half-made resource or pending operation")
    since, soak = source.since(request.service), SOAK.get(pair, timedelta())
    if since and at - since >= soak:
        checks.append(f"has run for {in_words(at - since)} (asked: {in_words(soak)})")
    elif since and request.hotfix:
        checks.append(f"soak skipped: has run for {in_words(at - since)} of {in_words(soak)}")
    elif since:
        against.append(f"has run in {request.source} for {in_words(at - since)}, and must for {in_words(soak)}: wait {in_words(soak - (at - since))}, or --hotfix with a --reason")
    hold = record.held(events, request.service, wanted.get("version"), wanted.get("image"))
    if hold:
        against.append(f"{hold.version} is held by {hold.by}: {hold.reason}. Lift it with `./infra release-hold {request.service} {hold.version} --reason ...`")
    else:
        checks.append("no hold")
    return against, checks


def in_words(duration: timedelta) -> str:
    """Return a duration as people say it."""
    minutes = int(duration.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{left} min" if left or not (days or hours) else ""]
    return " ".join(filter(None, parts))


def moved(source_text: str, target_text: str, request: Request) -> str:
    """Return the target's text with the source's release; RefusedError where anything else would change with it."""
    block = blocks.release_text(source_text, request.service, file_of(request.source))
    return replaced(target_text, request.service, block, request.target)


def replaced(target_text: str, service: str, block: str, target: str) -> str:
    """Return the target's text with a block for a service's release, having made sure that nothing else differs."""
    out = blocks.with_release(target_text, service, block, file_of(target))
    before, after = services_in(target_text), services_in(out)
    expected = YAML(typ="safe").load(block)["release"]
    same = {name: value if name != service else {**value, "release": expected} for name, value in before.items()}
    if after != same:
        raise RefusedError(f"{file_of(target)} would not hold the release of {service} unchanged beside all that it held: write the block by hand, and tell us")
    return out


def promote(folder: Path, request: Request, source: Deployed, at: datetime) -> tuple[str, str, Event]:
    """Move a release in the files and record it; return the target's text before and after, and the event. RefusedError changes nothing."""
    source_text = (folder / file_of(request.source)).read_text(encoding="utf-8")
    target_path = folder / file_of(request.target)
    target_text = target_path.read_bytes().decode("utf-8")
    wanted = (services_in(source_text).get(request.service) or {}).get("release") or {}
    try:
        new_text = moved(source_text, target_text, request)
    except blocks.BlockError as error:
        raise RefusedError(str(error)) from error
    events = record.read(folder, request.service)
    against, checks = reasons_against(request, wanted, source, events, at)
    if new_text == target_text and not against:
        raise RefusedError(f"{request.target} has {request.service} {wanted.get('version')} already: nothing to move. `./infra up {request.target}` brings it up")
    if against:
        raise RefusedError("\n".join(against))
    event = Event(
        kind="hotfix" if request.hotfix else "promote",
        service=request.service,
        version=str(wanted.get("version")),
        image=str(wanted.get("image")),
        at=record.now(at),
        by=record.author(folder),
        environment=request.target,
        source=request.source,
        reason=request.reason,
        checks=checks,
        block=blocks.release_text(target_text, request.service, file_of(request.target)),
    )
    record.write(folder, event)
    target_path.write_bytes(new_text.encode("utf-8"))
    return target_text, new_text, event


def roll_back(folder: Path, service: str, environment: str, reason: str, at: datetime) -> tuple[str, str, list[Event]]:
    """Put back the release before the last that was moved into an environment, and hold the bad one everywhere."""
    if not reason.strip():
        raise RefusedError("a rollback needs a --reason: it stands in the record, and on the hold of the bad release")
    path = folder / file_of(environment)
    text = path.read_bytes().decode("utf-8")
    current = (services_in(text).get(service) or {}).get("release") or {}
    moves = [
        event
        for event in record.read(folder, service)
        if event.environment == environment and event.kind in {"promote", "hotfix"} and (event.version, event.image) == (current.get("version"), current.get("image"))
    ]
    if not moves:
        raise RefusedError(
            f"the record has no promotion of {service} {current.get('version')} into {environment}: write the release that is wanted into {file_of(environment)} by hand"
        )
    new_text = replaced(text, service, moves[-1].block, environment)
    restored = (services_in(new_text).get(service) or {}).get("release") or {}
    who = record.author(folder)
    events = [
        Event(kind="hold", service=service, version=str(current.get("version")), image=str(current.get("image")), at=record.now(at), by=who, reason=reason),
        Event(
            kind="rollback",
            service=service,
            version=str(restored.get("version")),
            image=str(restored.get("image")),
            at=record.now(at),
            by=who,
            environment=environment,
            reason=reason,
            block=blocks.release_text(text, service, file_of(environment)),
        ),
    ]
    for event in events:
        record.write(folder, event)
    path.write_bytes(new_text.encode("utf-8"))
    return text, new_text, events


def set_hold(folder: Path, service: str, version: str, reason: str, at: datetime, *, lift: bool) -> Event:
    """Hold a release everywhere, or lift its hold; both need a reason."""
    if not reason.strip():
        raise RefusedError("a hold, and its end, needs a --reason: whoever meets it asks why")
    images = {str(release["image"]) for text in texts(folder) if (release := (services_in(text).get(service) or {}).get("release")) and str(release.get("version")) == version}
    images |= {event.image for event in record.read(folder, service) if event.version == version}
    if len(images) != 1:
        raise RefusedError(
            f"{service} {version} is {'no release that any environment or the record has' if not images else 'of more than one image: ' + ', '.join(sorted(images))}"
        )
    image = images.pop()
    if lift and record.held(record.read(folder, service), service, version, image) is None:
        raise RefusedError(f"no hold stands on {service} {version}")
    event = Event(kind="release-hold" if lift else "hold", service=service, version=version, image=image, at=record.now(at), by=record.author(folder), reason=reason)
    record.write(folder, event)
    return event


def texts(folder: Path) -> list[str]:
    """Return the texts of all environments' files."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("Pulumi.*.yaml"))]
