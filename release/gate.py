"""Reads a preview and refuses what was not meant: pure, data in and findings out."""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from release import record, sign_offs
from release.deployed import ENVIRONMENT_KEY, FOUNDATION, SERVICE_TYPE, SERVICES_KEY, STACK_TYPE, Deployed, fingerprint, name_of, owner, parents, type_of
from release.holds_data import GUARDIANS, HOLDS_DATA, lowered
from release.promote import PATH, RefusedError, config_in, file_of, on, read_text
from release.sign_offs import SignOff
from release.widening import UNKNOWN, widenings

LOSING = frozenset({"delete", "replace", "delete-replaced", "create-replacement", "discard", "discard-replaced"})
FOUNDATION_TYPE = "hundredx:foundation:Foundation"
EVERYTHING = "everything"
FINAL = frozenset({"pending", "held"})  # not to be signed off: what is there must be known, and a hold is lifted by its own command


@dataclass(frozen=True, order=True)
class Finding:
    """Something that needs a person. rule: outside, data, protect, widening, provider, record, held or pending."""

    rule: str
    urn: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What the gate says: findings that stand, those that are signed off, what is odd about sign-offs, what was meant, and how much changes."""

    refused: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, SignOff], ...]
    notes: tuple[str, ...]
    changed_services: tuple[str, ...]
    changes: int = 0

    def in_words(self) -> list[str]:
        """Return what the record keeps of it."""
        out = [f"open, {self.changes} changes in {', '.join(self.changed_services) or 'nothing'}"]
        return out + [f"overridden: {finding.rule} of {name_of(finding.urn)}, signed off by {sign.by}: {sign.reason}" for finding, sign in self.accepted]


def changed_blocks(deployed: Deployed, wanted: Mapping[str, Any]) -> set[str]:
    """Return whose blocks differ between what is deployed and what the file wants: services, and `foundation`.

    Updates that failed since the last good one count too: what they began is there, and going back from it is a change as well.
    So do services whose last deployment AWS took back: to try again is to change them.
    """
    out = deployed.unfinished()
    after = wanted.get(SERVICES_KEY) or {}
    for update in deployed.standing():
        if update.kind != "update":
            continue
        before = update.config.get(SERVICES_KEY) or {}
        out |= {name for name in {*before, *after} if before.get(name) != after.get(name)}
        if update.config.get(ENVIRONMENT_KEY) != wanted.get(ENVIRONMENT_KEY):
            out.add(FOUNDATION)
        if update.succeeded:
            return out
    return {*out, *after, FOUNDATION}  # nothing has ever come up whole here


def wanted_config(folder: Path, environment: str) -> dict[str, Any]:
    """Return the configuration that an environment's file asks for, as a JSON round trip would have it."""
    config = config_in(read_text(folder, environment), file_of(environment))
    services = config.get(SERVICES_KEY)
    if not isinstance(services, dict) or not all(isinstance(block, dict) for block in services.values()):
        raise RefusedError(f"{file_of(environment)}: {SERVICES_KEY} is not a map of services. `./infra check` says where")
    out: dict[str, Any] = json.loads(json.dumps(config, default=str))  # a day or a time without quotes is told by the program's own check
    return out


def findings(preview: Mapping[str, Any], deployed: Deployed, meant: set[str]) -> list[Finding]:
    """Return all that a preview would do and nobody meant, or that loses or opens something."""
    steps: Sequence[Mapping[str, Any]] = preview.get("steps") or []
    states = [step.get("newState") or step.get("oldState") or {"urn": step["urn"]} for step in steps]
    parent_of = parents(deployed.resources, states)
    # What is new with its service, or with the whole environment, opens nothing that was there.
    came = {owner(step["urn"], parent_of) for step in steps if step["op"] == "create" and type_of(step["urn"]) in {SERVICE_TYPE, FOUNDATION_TYPE}}

    @functools.cache
    def theirs(whose: str) -> frozenset[str]:
        """Return the ids of what is there and is another's."""
        return frozenset(str(resource.get("id")) for resource in deployed.resources if resource.get("custom") and owner(resource["urn"], parent_of) != whose)

    out = [Finding("pending", urn, "an operation on it never ended: nobody knows what is there") for urn in deployed.pending]
    for step in steps:
        urn, operation = step["urn"], step["op"]
        old, new = step.get("oldState") or {}, step.get("newState") or {}
        if old.get("protect") and new and not new.get("protect"):
            out.append(Finding("protect", urn, "loses its protection: the next change could delete it"))
        if operation in {"same", "read", "refresh"} or type_of(urn) == STACK_TYPE:  # the stack itself changes with its outputs
            continue
        whose = owner(urn, parent_of)
        if whose not in meant and EVERYTHING not in meant:
            out.append(Finding("outside", urn, f"{operation} in {whose}, whose block did not change"))
        if operation in LOSING and type_of(urn) in HOLDS_DATA:
            because = f" (because of {', '.join(step['replaceReasons'])})" if step.get("replaceReasons") else ""
            out.append(Finding("data", urn, f"{operation}{because} of what holds data"))
        before, after = (state.get("inputs") or {} if state else None for state in (step.get("oldState"), step.get("newState")))
        if before is not None and after is not None:
            out += [Finding("protect", urn, f"{what}: what guards its data is lowered") for what in lowered(before, after)]
        if operation == "delete" and type_of(urn) in GUARDIANS:
            out.append(Finding("protect", urn, "is taken away, and what it guards is not guarded"))
        is_new = whose in came or not deployed.has_ever_come_up(whose)
        if not is_new or reaches_others(after, theirs(whose)):
            out += [Finding("widening", urn, message) for message in widenings(urn, before, after)]
    return sorted(set(out))


def reaches_others(inputs: Mapping[str, Any] | None, theirs: frozenset[str]) -> bool:
    """Tell whether a resource of something new is about what is there already and is another's: its group, role, bucket, routes or balancer.

    Not so the way out of another's group to what is new: that is how a balancer comes to a new service.
    """
    if inputs is None or UNKNOWN in str(inputs.get("referencedSecurityGroupId", "")):
        return False
    return any(str(inputs.get(name)) in theirs for name in ("securityGroupId", "role", "bucket", "routeTableId", "loadBalancerArn") if inputs.get(name))


def release_findings(deployed: Deployed, wanted: Mapping[str, Any], events: Sequence[record.Event], place: str) -> list[Finding]:
    """Return releases that would come and may not: held ones, and ones that no promotion brought to this environment of this place."""
    out, unfinished = [], deployed.unfinished()
    for service, block in sorted((wanted.get(SERVICES_KEY) or {}).items()):
        release, runs = block.get("release") or {}, deployed.release(service)
        if not block.get("enabled", True) or (release == runs and service not in unfinished):
            continue
        urn = f"urn:pulumi:{deployed.stack}::100xglobal::{SERVICE_TYPE}::{service}"
        hold = record.held(events, service, release.get("version"), release.get("image"))
        if hold:
            out.append(
                Finding("held", urn, f"{release.get('version')} is held by {hold.by}: {hold.reason}. Lift it with `./infra release-hold {service} {hold.version} --reason ...`")
            )
        move = record.last_move(events, service, deployed.stack, place)
        if deployed.stack not in PATH[1:] or runs is None or runs == release:
            continue  # alpha's come from CI; and the first release of a service in an environment comes with its file
        if move is None or move.release != fingerprint(release):
            out.append(
                Finding(
                    "record",
                    urn,
                    f"its release {release.get('version')} is in no promotion that was asked for here: "
                    f"`./infra promote {service} --from {PATH[PATH.index(deployed.stack) - 1]} --to {deployed.stack}{on(place)}` looks at it and records it",
                )
            )
    return out


def provider_findings(plan: Mapping[str, Any], deployed: Deployed) -> list[Finding]:
    """Return changes of provider resources, which no step shows: read from a saved plan."""
    before = {resource["urn"] for resource in deployed.resources if type_of(resource["urn"]).startswith("pulumi:providers:")}
    out = []
    for urn, entry in (plan.get("resourcePlans") or {}).items():
        if not type_of(urn).startswith("pulumi:providers:"):
            continue
        if urn not in before:
            if before:
                out.append(Finding("provider", urn, "a provider that was not there comes, as after an upgrade of pulumi_aws: resources that move to it may change with it"))
            continue
        inputs = (entry.get("goal") or {}).get("inputDiff") or {}
        names = {str(name) for kind in ("adds", "deletes", "updates") for name in (inputs.get(kind) or [])}
        if names or set(entry.get("steps") or []) - {"same"}:
            out.append(Finding("provider", urn, f"the provider's settings change ({', '.join(sorted(names)) or 'its version'}): that reaches every resource"))
    return out


def judge(found: Iterable[Finding], signs: Iterable[SignOff], today: date, meant: set[str], changes: int = 0) -> Verdict:
    """Return the verdict: a finding is accepted by a sign-off of its very URN and rule that has not expired."""
    signs = list(signs)
    last_day = today + timedelta(days=sign_offs.LONGEST_DAYS)
    valid = {(sign.urn, sign.rule): sign for sign in signs if today <= sign.expires <= last_day}
    refused, accepted = [], []
    for finding in found:
        sign = None if finding.rule in FINAL else valid.get((finding.urn, finding.rule))
        if sign:
            accepted.append((finding, sign))
        else:
            refused.append(finding)
    used = {(finding.urn, finding.rule) for finding, _ in accepted}
    notes = [f"the sign-off of {name_of(sign.urn)} ({sign.rule}) expired on {sign.expires}: {sign.reason}" for sign in signs if sign.expires < today]
    notes += [
        f"the sign-off of {name_of(sign.urn)} ({sign.rule}) ends on {sign.expires}, in more than {sign_offs.LONGEST_DAYS} days: it does not count"
        for sign in signs
        if sign.expires > last_day
    ]
    notes += [f"the sign-off of {name_of(sign.urn)} ({sign.rule}) by {sign.by} was not needed: remove it" for key, sign in valid.items() if key not in used]
    return Verdict(tuple(refused), tuple(accepted), tuple(notes), tuple(sorted(meant)), changes)


def show(verdict: Verdict, layout: str, environment: str, suffix: str = "") -> str:
    """Return a verdict as text, markdown or JSON. suffix: what the commands that it names need beside, to act in the same place."""
    if layout == "json":
        rows = [{"rule": f.rule, "urn": f.urn, "message": f.message, "signed_off_by": None} for f in verdict.refused]
        rows += [{"rule": f.rule, "urn": f.urn, "message": f.message, "signed_off_by": s.by, "reason": s.reason} for f, s in verdict.accepted]
        return json.dumps(
            {"passed": not verdict.refused, "changes": verdict.changes, "meant": list(verdict.changed_services), "findings": rows, "notes": list(verdict.notes)}, indent=1
        )
    mark, code, strong = ("- ", "`", "**") if layout == "markdown" else ("  ", "", "")
    lines = [f"gate of {environment}: {verdict.changes} changes; meant in {', '.join(verdict.changed_services) or 'nothing'}"]
    lines += [f"{mark}{strong}REFUSED{strong} {f.rule}: {code}{name_of(f.urn)}{code} {f.message}\n{mark}  {code}{f.urn}{code}" for f in verdict.refused]
    lines += [f"{mark}signed off by {s.by} ({s.reason}): {code}{name_of(f.urn)}{code} {f.message}" for f, s in verdict.accepted]
    lines += [f"{mark}note: {note}" for note in verdict.notes]
    if not verdict.refused:
        return "\n".join([*lines, "The gate is open."])
    lines.append(f"The gate is closed: {len(verdict.refused)} refused. What is not meant is mended; what is:")
    if any(finding.rule == "outside" for finding in verdict.refused):
        whose = sorted({finding.message.split(" in ", 1)[1].split(",", 1)[0] for finding in verdict.refused if finding.rule == "outside"})
        lines.append(f"{mark}a change of code that reaches others: {code}./infra up {environment} {' '.join(f'--meant {name}' for name in whose)}{suffix}{code}")
    signed = [finding for finding in verdict.refused if finding.rule in sign_offs.RULES and finding.rule != "outside"]
    if signed:
        lines.append(
            f"{mark}anything else: {code}./infra sign-off '{signed[0].urn}' --rule {signed[0].rule} --reason ... --days 3{code}, and commit the file it writes below {sign_offs.FOLDER}/"
        )
    return "\n".join(lines)


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's configuration as an update's history has it: what is no object of ours is text."""
    return {key: value if key in {SERVICES_KEY, ENVIRONMENT_KEY} or isinstance(value, str) else json.dumps(value, separators=(",", ":")) for key, value in config.items()}
