"""Promotes a release: decides whether it may move, changes one block of a file, and adds an event to the journal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from common.files import write_atomically
from release import journal, release_block
from release.co_deployment import never_deployed_together
from release.database_engine import engine_refusals, restart_note
from release.environment_file import parse_release_block, read_text, release_in, releases_in, services_in, with_release
from release.errors import Refusal, RefusedError, Rule, refused
from release.gate import backend_option
from release.health import ServerReport
from release.journal import MOVES, Event, writing
from release.promotion_path import PromotionPath, format_minutes
from release.stack_state import StackState, fingerprint, is_same_release
from settings.project_files import environment_file

Validate = Callable[[str, str], Sequence[str]]  # a file's name and its new text; returns the problems that it would add


@dataclass(frozen=True)
class Request:
    """What someone asks for.

    Attributes:
        service: The service whose release moves.
        source: The environment that the release comes from; empty for a rollback.
        target: The environment whose file changes.
        hotfix: Skip the soak time, and allow skipping an environment. Needs a reason.
        reason: Why; it is recorded in the journal.
        backend: `sandbox` or `aws`.
    """

    service: str
    source: str
    target: str
    hotfix: bool = False
    reason: str = ""
    backend: str = journal.SANDBOX


@dataclass(frozen=True)
class Move:
    """A release that was moved: the target's text before and after, the event, and notes for whoever asked."""

    before: str
    after: str
    event: Event
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a decision about a promotion is based on.

    Attributes:
        source: The state of the stack that the release comes from.
        servers: What AWS reports about the service's servers there.
        events: The journal of the service.
        path: The promotion path.
        now: The time of the decision.
    """

    source: StackState
    servers: ServerReport
    events: Sequence[Event]
    path: PromotionPath
    now: datetime


def promote(
    folder: Path,
    request: Request,
    source: StackState,
    *,
    path: PromotionPath,
    servers: ServerReport,
    now: datetime,
    validate: Validate = lambda _file, _text: (),
) -> Move:
    """Move a release and record it. If it may not move, RefusedError carries every reason and nothing changes."""
    with writing(folder):
        return promote_locked(
            folder, request, Evidence(source, servers, journal.read(folder, request.service), path, now), validate
        )


def promote_locked(folder: Path, request: Request, evidence: Evidence, validate: Validate) -> Move:
    """Do what `promote` does while nobody else writes files."""
    source, path, now, events = evidence.source, evidence.path, evidence.now, evidence.events
    source_text, target_text = read_text(folder, request.source), read_text(folder, request.target)
    target_file = environment_file(request.target)
    release = release_in(source_text, request.service, environment_file(request.source))
    block = release_block.release_text(source_text, request.service, environment_file(request.source))
    if parse_release_block(block) != release:
        message = (
            f"the release of {request.service} in {environment_file(request.source)} cannot be moved as text: its "
            "block ends with a line that looks like a comment. Write that value on one line"
        )
        raise refused(Rule.INVALID_BLOCK, message)
    new_text = with_release(target_text, request.service, block, request.target)
    target = services_in(target_text, target_file)[request.service]
    refusals, checks = review(request, release, evidence)
    refusals += version_refusals(request, release, events)
    refusals += engine_refusals(request.service, request.target, release, target)
    refusals += [
        Refusal(Rule.INVALID_RESULT, f"the release does not fit {request.target}: {problem}")
        for problem in validate(target_file, new_text)
    ]
    previous = release_block.release_text(target_text, request.service, target_file)
    if new_text == target_text:
        # The file has the release already, from a rehearsal or by hand. This review is still worth recording.
        previous = reviewed_before(request, release, events, has_refusals=bool(refusals))
    if refusals:
        raise RefusedError(refusals)

    notes = list(co_deployment_notes(request, new_text, source, path))
    if request.target == path.last:
        checks += notes or [f"all releases of {request.target} ran together in {request.source}"]
    if not target.get("enabled", True):
        notes.append(f"{request.service} is disabled in {target_file}; its release is deployed when someone enables it")
    elif restart := restart_note(request.service, request.target, release, target):
        notes.append(restart)
    event = move_event(folder, request, release, checks=checks, previous_block=previous, now=now)
    write_move(folder, [event], request.target, target_text, new_text)
    return Move(target_text, new_text, event, tuple(notes))


def version_refusals(request: Request, release: Mapping[str, Any], events: Sequence[Event]) -> list[Refusal]:
    """Return whether the journal knows other content under this version, which could not be told apart."""
    version, digest = str(release.get("version")), fingerprint(release)
    if any(event.kind == "rollback" and event.fingerprint == digest for event in events):
        return []  # a rollback that kept a newer database engine made it
    others = {
        event.fingerprint
        for event in events
        if event.kind in {"promote", "hotfix"} and event.version == version and event.fingerprint != digest
    }
    if not others:
        return []
    message = (
        f"{request.service} {version} was promoted before with different content. Give the new release its own version"
    )
    return [Refusal(Rule.VERSION_REUSED, message)]


def review(request: Request, release: Mapping[str, Any], evidence: Evidence) -> tuple[list[Refusal], list[str]]:
    """Return why a release may not move, and what was checked successfully."""
    refusals = [*request_refusals(request, evidence.path)]
    checks: list[str] = []
    for reviewer in (review_deployment, review_health, review_soak_time, review_hold):
        reasons, passed = reviewer(request, release, evidence)
        refusals += reasons
        checks += passed
    return refusals, checks


Review = tuple[list[Refusal], list[str]]


def request_refusals(request: Request, path: PromotionPath) -> Iterator[Refusal]:
    """Yield what is wrong with the request itself."""
    on_path = request.target in path.environments
    if on_path and not path.is_step(request.source, request.target) and not request.hotfix:
        message = (
            f"releases move {path}, so {request.source} -> {request.target} is not a step. "
            "If it cannot wait, use --hotfix with a --reason"
        )
        yield Refusal(Rule.NOT_ON_PATH, message)
    if request.hotfix and not request.reason.strip():
        yield Refusal(Rule.REASON_REQUIRED, "a hotfix needs a --reason, which is recorded in the journal")


def review_deployment(request: Request, release: Mapping[str, Any], evidence: Evidence) -> Review:
    """Check that the source runs exactly the release in its file."""
    deployed = evidence.source.release(request.service)
    command = f"\n  ./infra up {request.source}{backend_option(request.backend)}"
    if deployed is None:
        message = f"{request.service} is not deployed to {request.source}. Deploy it first:{command}"
        return [Refusal(Rule.NOT_DEPLOYED, message)], []
    if not is_same_release(deployed, release):
        same_version = deployed.get("version") == release.get("version")
        settings = " with different settings" if same_version else ""
        message = (
            f"{request.source} runs {request.service} {deployed.get('version')}, but "
            f"{environment_file(request.source)} says {release.get('version')}{settings}. "
            f"Deploy it, so that what is promoted is what was tested:{command}"
        )
        return [Refusal(Rule.FILE_DIFFERS_FROM_DEPLOYED, message)], []
    return [], [f"{request.source} runs exactly this release"]


def review_health(request: Request, _release: Mapping[str, Any], evidence: Evidence) -> Review:
    """Check that the service is healthy in the source."""
    issues = evidence.source.health_issues(request.service)
    issues += [issue.message for issue in evidence.servers.issues]
    if issues:
        prefix = f"{request.service} is not healthy in {request.source}"
        return [Refusal(Rule.UNHEALTHY, f"{prefix}: {issue}") for issue in issues], []
    return [], ["healthy: no failed update, partially created resource or pending operation; enough servers in service"]


def review_soak_time(request: Request, _release: Mapping[str, Any], evidence: Evidence) -> Review:
    """Check that the release ran in the source for long enough.

    It runs since the update ended and the servers were replaced, whichever came last.
    """
    since = evidence.source.running_since(request.service)
    if since is None:
        return [], []
    if evidence.servers.replaced_at:
        since = max(since, evidence.servers.replaced_at)
    required = evidence.path.soak_time(request.source, request.target)
    ran = evidence.now - since
    if ran >= required:
        return [], [f"ran for {format_minutes(ran)} (required: {format_minutes(required)})"]
    if request.hotfix:
        return [], [f"soak time skipped: ran for {format_minutes(ran)} of {format_minutes(required)}"]
    message = (
        f"{request.service} has run in {request.source} for {format_minutes(ran)} of the required "
        f"{format_minutes(required)}. Wait another {format_minutes(required - ran)}, or use --hotfix with a --reason"
    )
    return [Refusal(Rule.SOAKING, message)], []


def review_hold(request: Request, release: Mapping[str, Any], evidence: Evidence) -> Review:
    """Check that nobody holds the release."""
    hold = journal.active_hold(evidence.events, request.service, release)
    if not hold:
        return [], ["no hold"]
    message = (
        f"{request.service} {hold.version} is on hold by {hold.by}: {hold.reason}. To lift the hold:\n"
        f"  ./infra unhold {request.service} {hold.version} --reason ..."
    )
    return [Refusal(Rule.HELD, message)], []


def reviewed_before(
    request: Request, release: Mapping[str, Any], events: Sequence[Event], *, has_refusals: bool
) -> str:
    """Return the block that the target's file had before it got this release; refused if that is already recorded."""
    moves = [
        event
        for event in events
        if event.environment == request.target and event.kind in MOVES and event.fingerprint == fingerprint(release)
    ]
    if not has_refusals and any(move.backend == request.backend for move in moves):
        message = (
            f"{environment_file(request.target)} already has {request.service} {release.get('version')}. "
            f"To deploy it:\n  ./infra up {request.target}{backend_option(request.backend)}"
        )
        raise refused(Rule.ALREADY_PROMOTED, message)
    return moves[-1].previous_block if moves else ""


def co_deployment_notes(request: Request, new_text: str, source: StackState, path: PromotionPath) -> Iterator[str]:
    """Yield which releases will run side by side in the last environment without having done so in the source."""
    if request.target != path.last:
        return
    for difference in never_deployed_together(releases_in(new_text), request.source, source.updates):
        yield f"never ran together in {request.source}: {difference}"


def move_event(
    folder: Path,
    request: Request,
    release: Mapping[str, Any],
    *,
    checks: list[str],
    previous_block: str,
    now: datetime,
) -> Event:
    """Return the journal's event for a promotion."""
    return Event(
        kind="hotfix" if request.hotfix else "promote",
        service=request.service,
        version=str(release.get("version")),
        image=str(release.get("image")),
        at=journal.timestamp(journal.stamp(folder, request.service, now)),
        by=journal.author(folder),
        environment=request.target,
        source=request.source,
        backend=request.backend,
        reason=request.reason,
        fingerprint=fingerprint(release),
        checks=checks,
        previous_block=previous_block,
    )


def write_move(folder: Path, events: Sequence[Event], environment: str, before: str, after: str) -> None:
    """Write a file and the events about it.

    The file comes last: if this process dies in between, the journal has an event for a release that the file does not
    have, which `history` reports, and running the same command again writes both.
    """
    path = folder / environment_file(environment)
    if path.read_bytes().decode("utf-8") != before:
        message = f"{path.name} was changed by another process in the meantime. Run the same command again"
        raise refused(Rule.FILE_CHANGED, message)
    written = [journal.write(folder, event) for event in events]
    try:
        write_atomically(path, after.encode("utf-8"))
    except BaseException:
        for event_file in written:
            event_file.unlink(missing_ok=True)
        raise
