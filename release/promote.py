"""Decides whether a release may move, and moves it: the decision is pure, the move is one file's block and one event."""

import contextlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from release import blocks, record
from release.deployed import SERVICES_KEY, Deployed, fingerprint
from release.record import MOVES, Event
from release.together import not_seen_together

# The way of a release, and how long it must have run where it comes from. Staging is beside the way: nobody waits for it.
PATH = ("alpha", "beta", "prod")
SOAK = {("alpha", "beta"): timedelta(hours=1), ("beta", "prod"): timedelta(hours=24)}

Validate = Callable[[str, str], Sequence[str]]  # a file's name and its new text; returns what would be wrong with it


class RefusedError(Exception):
    """A release may not move; the text holds every reason, and the way out."""


@dataclass(frozen=True)
class Request:
    """What somebody asks for. hotfix: skips the soak and may skip an environment; needs a reason. place: the sandbox, or real AWS."""

    service: str
    source: str
    target: str
    hotfix: bool = False
    reason: str = ""
    place: str = "sandbox"


class AlreadyBackError(RefusedError):
    """A rollback that was asked for has been made, and has not arrived: doing it again would take a good release away."""


@dataclass(frozen=True)
class Servers:
    """What AWS says of a service's servers. unhealthy: what is against them. came_up: when they were last replaced."""

    unhealthy: Sequence[str] = ()
    came_up: datetime | None = None


@dataclass(frozen=True)
class Moved:
    """What was moved: the target's text before and after, the event, and what the user should know all the same."""

    before: str
    after: str
    event: Event
    notes: tuple[str, ...] = ()


def on(place: str) -> str:
    """Return what a command of ours needs beside, to act in a place."""
    return "" if place == record.SANDBOX else f" --on {place}"


def file_of(environment: str) -> str:
    """Return an environment's file."""
    return f"Pulumi.{environment}.yaml"


def read_text(folder: Path, environment: str) -> str:
    """Return the text of an environment's file, its line ends as they are."""
    try:
        return (folder / file_of(environment)).read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise RefusedError(f"there is no {file_of(environment)}") from error
    except UnicodeDecodeError as error:
        raise RefusedError(f"{file_of(environment)} is not UTF-8 text: save it as UTF-8") from error


def services_in(text: str) -> Mapping[str, Any]:
    """Return the services that a file's text holds."""
    services = config_in(text).get(SERVICES_KEY)
    if not isinstance(services, dict):
        return {}
    return {name: block if isinstance(block, dict) else {} for name, block in services.items()}


def config_in(text: str, file: str = "an environment's file") -> Mapping[str, Any]:
    """Return the configuration that a file's text holds; RefusedError where it is none."""
    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise RefusedError(f"{file} is not YAML: {' '.join(str(error).split())[:300]}. `./infra check` says where") from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise RefusedError(f"{file} has no map `config`. `./infra check` says more")
    return config


def released(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return the release in a service's block; empty where there is none."""
    release = block.get("release")
    return release if isinstance(release, dict) else {}


def release_in(text: str, service: str) -> dict[str, Any]:
    """Return a service's release in a file's text; empty where there is none."""
    return released(services_in(text).get(service, {}))


def releases_in(text: str) -> dict[str, dict[str, Any]]:
    """Return the release of each service that a file's text switches on."""
    return {name: released(block) for name, block in services_in(text).items() if block and block.get("enabled", True)}


def soak_of(source: str, target: str) -> timedelta:
    """Return how long a release must have run in one environment before it moves to another; on the way over others, theirs too."""
    if source not in PATH or target not in PATH:
        return timedelta()
    way = PATH[PATH.index(source) : PATH.index(target) + 1]
    return sum((SOAK[pair] for pair in itertools.pairwise(way)), timedelta())


def reasons_against(request: Request, wanted: Mapping[str, Any], source: Deployed, *, servers: Servers, events: Sequence[Event], at: datetime) -> tuple[list[str], list[str]]:
    """Return why the release may not move, and what was looked at and found good."""
    against: list[str] = []
    checks: list[str] = []
    if request.target in PATH and (request.source, request.target) not in SOAK and not request.hotfix:
        against.append(f"{request.source} is not the environment before {request.target}: releases go {' -> '.join(PATH)}. What cannot wait is a --hotfix with a --reason")
    if request.hotfix and not request.reason.strip():
        against.append("a hotfix needs a --reason: it stands in the record")
    runs = source.release(request.service)
    if runs is None:
        against.append(f"{request.service} does not run in {request.source}: `./infra up {request.source}{on(request.place)}` first")
    elif runs != wanted:
        against.append(
            f"{request.source} runs {request.service} {runs.get('version')}, and {file_of(request.source)} says {wanted.get('version')}"
            f"{' with other settings' if runs.get('version') == wanted.get('version') else ''}: bring {request.source} up, so that what is promoted is what was tried"
        )
    else:
        checks.append(f"{request.source} runs exactly this release")
    troubles = [*source.troubles(request.service), *servers.unhealthy]
    against += [f"{trouble}: {request.service} cannot be called healthy there" for trouble in troubles]
    if not troubles:
        checks.append("healthy: no failed update, half-made resource or pending operation; its servers and targets in service")
    # Pulumi's update ends before the servers are replaced: the release runs since both have.
    since, soak = source.since(request.service), soak_of(request.source, request.target)
    if since and servers.came_up:
        since = max(since, servers.came_up)
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


def engine_reasons(request: Request, wanted: Mapping[str, Any], there: Mapping[str, Any], sizing: Mapping[str, Any]) -> list[str]:
    """Return why the target's database cannot take the release. RDS never goes back a version, and a new major one needs a word."""
    new, old = version_numbers(wanted.get("database_engine")), version_numbers(there.get("database_engine"))
    if not new or not old:
        return []
    if new < old:
        return [
            f"the database of {request.service} in {request.target} has PostgreSQL {there['database_engine']}, and RDS never goes back: a release with that or a newer one moves"
        ]
    if new[0] > old[0] and not (sizing.get("database") or {}).get("allow_major_upgrade"):
        told = (
            f"it takes the database of {request.service} in {request.target} from PostgreSQL {there['database_engine']} to {wanted['database_engine']}, with downtime and no way back: "
            f"say so with sizing.database.allow_major_upgrade: true in {file_of(request.target)}"
        )
        return [told]
    return []


def version_numbers(version: object) -> tuple[int, ...]:
    """Return the numbers of a version such as 16.9; none where there is no version."""
    return tuple(map(int, re.findall(r"\d+", str(version)))) if version else ()


def in_words(duration: timedelta) -> str:
    """Return a duration as people say it."""
    minutes = int(duration.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{left} min" if left or not (days or hours) else ""]
    return " ".join(filter(None, parts))


def replaced(target_text: str, service: str, block: str, target: str) -> str:
    """Return the target's text with a block for a service's release, having made sure that nothing else differs."""
    expected = release_of(block)
    out = blocks.with_release(target_text, service, block, file_of(target))
    before, after = services_in(target_text), services_in(out)
    same = {name: value if name != service else {**value, "release": expected} for name, value in before.items()}
    if after != same:
        raise RefusedError(f"{file_of(target)} would not hold the release of {service} unchanged beside all that it held: write the block by hand, and tell us")
    return out


def release_of(block: str) -> dict[str, Any]:
    """Return the release that a block holds."""
    try:
        release: dict[str, Any] = YAML(typ="safe").load(block)["release"]
    except (YAMLError, KeyError, TypeError) as error:
        raise RefusedError(f"the release block cannot be read by itself ({' '.join(str(error).split())[:200]}): write its values out, without anchors") from error
    return release


def promote(folder: Path, request: Request, source: Deployed, *, servers: Servers, at: datetime, validate: Validate = lambda _file, _text: ()) -> Moved:
    """Move a release in the files and record it. RefusedError changes nothing."""
    source_text, target_text = read_text(folder, request.source), read_text(folder, request.target)
    wanted = release_in(source_text, request.service)
    try:
        block = blocks.release_text(source_text, request.service, file_of(request.source))
        new_text = replaced(target_text, request.service, block, request.target)
    except blocks.BlockError as error:
        raise RefusedError(str(error)) from error
    events = record.read(folder, request.service)
    against, checks = reasons_against(request, wanted, source, servers=servers, events=events, at=at)
    there = services_in(target_text)[request.service]
    against += engine_reasons(request, wanted, there.get("release") or {}, there.get("sizing") or {})
    against += [f"{file_of(request.target)} would be wrong: {problem}" for problem in validate(file_of(request.target), new_text)]
    had = blocks.release_text(target_text, request.service, file_of(request.target))
    if new_text == target_text:
        # The file has it: from a rehearsal, or by hand. What was looked at now stands in the record of this place.
        moves = [move for move in events if move.environment == request.target and move.kind in MOVES and move.release == fingerprint(wanted)]
        if not against and any(move.place == request.place for move in moves):
            way_out = f"`./infra up {request.target}{on(request.place)}` brings it up"
            raise RefusedError(f"{request.target} has {request.service} {wanted.get('version')} already: nothing to move. {way_out}")
        had = moves[-1].block if moves else ""
    if against:
        raise RefusedError("\n".join(against))
    notes: list[str] = []
    if request.target == PATH[-1]:
        unseen = not_seen_together(releases_in(new_text), request.source, source.updates)
        notes = [f"not seen together in {request.source}: {what}" for what in unseen]
        checks += notes or [f"all releases of {request.target} ran together in {request.source}"]
    if not there.get("enabled", True):
        notes.append(f"{request.service} is switched off in {file_of(request.target)}: its release comes up when somebody switches it on there")
    event = Event(
        kind="hotfix" if request.hotfix else "promote",
        service=request.service,
        version=str(wanted.get("version")),
        image=str(wanted.get("image")),
        at=record.now(at),
        by=record.author(folder),
        environment=request.target,
        source=request.source,
        place=request.place,
        reason=request.reason,
        release=fingerprint(wanted),
        checks=checks,
        block=had,
    )
    settle(folder, [event], request.target, target_text, new_text)
    return Moved(target_text, new_text, event, tuple(notes))


def settle(folder: Path, events: Sequence[Event], environment: str, before: str, after: str) -> None:
    """Write a file and the events about it.

    The file last: what died between is an event of a release that the file has not, which `history` tells, and the same
    command again writes both.
    """
    path = folder / file_of(environment)
    if path.read_bytes().decode("utf-8") != before:
        raise RefusedError(f"{file_of(environment)} was changed by somebody else just now: run the same command again")
    written = [record.write(folder, event) for event in events]
    try:
        record.write_whole(path, after.encode("utf-8"))
    except BaseException:
        for event_file in written:
            event_file.unlink(missing_ok=True)
        raise


def roll_back(folder: Path, service: str, environment: str, reason: str, at: datetime, *, place: str = "sandbox") -> tuple[Moved, Event | None]:
    """Put back the release before the last that was moved into an environment, and hold the bad one everywhere; return the move and the hold.

    Where the file was rolled back from another place already, only this place's record is written: going one further back would
    take a good release away.
    """
    if not reason.strip():
        raise RefusedError("a rollback needs a --reason: it stands in the record, and on the hold of the bad release")
    text = read_text(folder, environment)
    current = release_in(text, service)
    events = record.read(folder, service)
    newest = next((event for event in reversed(events) if event.environment == environment and event.kind in MOVES), None)
    if newest and newest.kind == "rollback" and newest.release == fingerprint(current):
        if newest.place != place:
            again = replace(newest, place=place, at=record.now(at), by=record.author(folder), reason=reason)
            record.write(folder, again)
            return Moved(text, text, again), None
        if record.on_its_way(events, service, environment, place):
            since = newest.at[:16].replace("T", " ")
            raise AlreadyBackError(f"{environment} has {service} {newest.version} again in its file since {since}: `./infra up {environment}{on(place)}` brings it up")
    block, notes = block_before([event for event in events if record.counts_in(event, place)], service, environment, current)
    restored, original = release_of(block), fingerprint(release_of(block))
    if restored.get("database_engine") and version_numbers(restored["database_engine"]) < version_numbers(current.get("database_engine")):
        block = re.sub(r"(?m)^(\s*database_engine:\s*).*?(\s*(#.*)?)$", lambda match: f'{match[1]}"{current["database_engine"]}"{match[2]}', block, count=1)
        notes += [f"database_engine stays {current['database_engine']}: RDS never goes back to {restored['database_engine']}"]
        restored = release_of(block)
    try:
        new_text = replaced(text, service, block, environment)
        had = blocks.release_text(text, service, file_of(environment))
    except blocks.BlockError as error:
        raise RefusedError(str(error)) from error
    who = record.author(folder)
    hold = Event(kind="hold", service=service, version=str(current.get("version")), image=str(current.get("image")), at=record.now(at), by=who, reason=reason)
    back = Event(
        kind="rollback",
        service=service,
        version=str(restored.get("version")),
        image=str(restored.get("image")),
        at=record.now(at),
        by=who,
        environment=environment,
        place=place,
        reason=reason,
        release=fingerprint(restored),
        restored=original,
        checks=notes,
        block=had,
    )
    settle(folder, [hold, back], environment, text, new_text)
    return Moved(text, new_text, back, tuple(notes)), hold


def block_before(events: Sequence[Event], service: str, environment: str, current: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the newest block before the current release that is not held, and which were passed over; RefusedError where the record has none."""
    here = [event for event in events if event.environment == environment]
    back = next((event for event in reversed(here) if event.kind == "rollback" and event.release == fingerprint(current)), None)
    looked_for, release = back.restored if back and back.restored else fingerprint(current), current
    passed_over: list[str] = []
    seen = {fingerprint(current)}
    while True:
        moves = [event for event in here if event.kind in {"promote", "hotfix"} and event.block and event.release == looked_for]
        if not moves:
            why = f" ({passed_over[-1]})" if passed_over else ""
            raise RefusedError(
                f"the record has no promotion of {service} {release.get('version', '?')} into {environment}, so not what was there before{why}: "
                f"write the release that is wanted into {file_of(environment)} by hand"
            )
        block = moves[-1].block
        release = release_of(block)
        looked_for = fingerprint(release)
        if looked_for in seen:
            raise RefusedError(
                f"the releases of {service} before {current.get('version')} in {environment} lead back to itself ({'; '.join(passed_over)}): write the release that is wanted into {file_of(environment)} by hand"
            )
        seen.add(looked_for)
        hold = record.held(events, service, release.get("version"), release.get("image"))
        if hold is None:
            return block, passed_over
        passed_over.append(f"{release.get('version')} is passed over, as it is held: {hold.reason}")


def set_hold(folder: Path, service: str, version: str, reason: str, at: datetime, *, lift: bool) -> list[Event]:
    """Hold a release everywhere, or lift its hold; both need a reason. A version that was built twice is held in each build."""
    if not reason.strip():
        raise RefusedError("a hold, and its end, needs a --reason: whoever meets it asks why")
    events = record.read(folder, service)
    images = {event.image for event in events if event.version == version}
    if lift:
        images = {image for image in images if record.held(events, service, version, image)}
        if not images:
            raise RefusedError(f"no hold stands on {service} {version}")
    else:
        images |= {str(release.get("image")) for text in readable_texts(folder) if (release := release_in(text, service)) and str(release.get("version")) == version}
    if not images:
        raise RefusedError(f"{service} {version} is no release that any environment or the record has")
    who, out = record.author(folder), []
    for index, image in enumerate(sorted(images)):
        moment = record.now(at + timedelta(microseconds=index))
        out.append(Event(kind="release-hold" if lift else "hold", service=service, version=version, image=image, at=moment, by=who, reason=reason))
        record.write(folder, out[-1])
    return out


def arrivals(
    folder: Path, environment: str, deployed: Deployed, *, troubles: Mapping[str, Sequence[str]], gates: Sequence[str], at: datetime, place: str = "sandbox"
) -> list[Event]:
    """Record what became of the promotions into an environment that the record does not know to have arrived; return the events.

    troubles: what AWS says against each service's servers, for those that were looked at. A release has arrived when the
    stack's last good update ran with it and its servers came up.
    """
    events = record.read(folder)
    out = []
    for service, found in sorted(troubles.items()):
        move = record.on_its_way(events, service, environment, place)
        release = deployed.release(service)
        if move is None or release is None or fingerprint(release) != move.release:
            continue
        out.append(outcome(folder, move, [*deployed.troubles(service), *found], gates, at))
    return out


def outcome(folder: Path, move: Event, troubles: Sequence[str], gates: Sequence[str], at: datetime) -> Event:
    """Record that a moved release arrived, or why not."""
    event = Event(
        kind="fail" if troubles else "arrive",
        service=move.service,
        version=move.version,
        image=move.image,
        at=record.now(at),
        by=record.author(folder),
        environment=move.environment,
        place=move.place,
        reason="; ".join(troubles),
        release=move.release,
        gates=list(gates),
    )
    record.write(folder, event)
    return event


def readable_texts(folder: Path) -> list[str]:
    """Return the texts of all environments' files that are right enough to be read: a stranger's draft must not stop a hold."""
    out = []
    for path in sorted(folder.glob("Pulumi.*.yaml")):
        with contextlib.suppress(RefusedError, OSError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8")
            config_in(text)
            out.append(text)
    return out
