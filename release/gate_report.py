"""The result of the gate as text, Markdown or JSON, and as entries of the journal."""

import json
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from common.console import count
from release.approvals import FOLDER
from release.changes import describe
from release.gate import Cause, GateResult, Judged
from release.stack_state import name_of

Layout = Literal["text", "markdown", "json"]
LAYOUTS: tuple[Layout, ...] = ("text", "markdown", "json")
CAUSES = {
    Cause.CODE: "the program changed, not the configuration",
    Cause.UNEXPLAINED: "does not follow from the configuration that differs",
    Cause.IRREVERSIBLE: "follows from the configuration, but cannot be undone",
}


@dataclass(frozen=True)
class Style:
    """How a layout marks list items, code and emphasis."""

    item: str
    indent: str
    code: str
    strong: str

    def command(self, text: str) -> str:
        """Return a command on a line of its own."""
        return f"{self.indent}{self.code}{text}{self.code}"


STYLES = {"text": Style("  ", "    ", "", ""), "markdown": Style("- ", "  ", "`", "**")}


def owners(result: GateResult) -> str:
    """Return whose configuration differs, as part of a sentence."""
    return f"configuration differs in {', '.join(result.expected)}" if result.expected else "no configuration differs"


def summary(result: GateResult) -> list[str]:
    """Return what the journal records about a gate that passed."""
    return [f"passed: {count(result.changes, 'resource')} changed, {owners(result)}"]


def render(result: GateResult, layout: Layout, environment: str, suffix: str = "") -> str:
    """Return the result in a layout. suffix: what the commands in it need in order to act on the same backend."""
    if layout == "json":
        return as_json(result)
    style = STYLES[layout]
    heading = f"{environment}: {count(result.changes, 'resource')} would change; {owners(result)}"
    lines = []
    for finding in result.blockers:
        name = f"{style.code}{name_of(finding.urn)}{style.code}"
        first, *rest = finding.message.splitlines()
        lines.append(f"{style.item}{style.strong}{finding.rule}{style.strong}: {name}: {first}")
        lines += [style.command(line.strip()) for line in rest]
    for urn, group in groupby(result.judged, key=lambda item: item.change.urn):
        lines += resource_lines(urn, list(group), style)
    lines += [f"{style.item}note: {note}" for note in result.notes]
    lines += [f"{style.item}approved in {name}" for name in result.used]
    return "\n".join([heading, *(["", *lines] if lines else []), *conclusion(result, style, environment, suffix)])


def resource_lines(urn: str, items: list[Judged], style: Style) -> list[str]:
    """Return what needs an approval in one resource."""
    first = items[0]
    lines = [f"{style.item}{style.code}{name_of(urn)}{style.code} ({first.change.owner})", style.command(urn)]
    lines += [
        f"{style.indent}{style.strong}{danger.kind.upper()}{style.strong}: {danger.message}" for danger in first.dangers
    ]
    for item in items:
        lines.append(f"{style.indent}{describe(item.change)}")
        lines.append(f"{style.indent}  {approval_state(item)}")
    return lines


def approval_state(item: Judged) -> str:
    """Return why a change needs an approval, and whether it has it."""
    if item.is_approved:
        return f"approved by {', '.join(sorted(item.approvers))}"
    missing = item.needed - len(item.approvers)
    people = f"{count(missing, 'approval')} by {'another person' if item.approvers else 'different people'}"
    return f"{CAUSES[item.cause]}; needs {count(missing, 'approval') if item.needed == 1 else people}"


def conclusion(result: GateResult, style: Style, environment: str, suffix: str) -> list[str]:
    """Return whether the gate passed, and what to do if it did not."""
    if result.passed:
        return ["Gate passed."]
    failures = len(result.blockers) + len(result.unapproved)
    lines = [f"Gate failed: {count(failures, 'finding')}. Fix what you did not intend."]
    if result.unapproved:
        lines.append(f"To approve exactly these changes, and commit the new files in {FOLDER}/:")
        lines.append(style.command(f"./infra approve {environment} --reason ...{suffix}"))
    return lines


def as_json(result: GateResult) -> str:
    """Return the result as JSON, for other programs."""
    blockers = [
        {"rule": item.rule, "urn": item.urn, "owner": item.owner, "message": item.message} for item in result.blockers
    ]
    changes = [
        {
            "urn": item.change.urn,
            "operation": item.change.operation,
            "property": item.change.property,
            "old": item.change.old,
            "new": item.change.new,
            "owner": item.change.owner,
            "cause": item.cause,
            "dangers": [{"kind": danger.kind, "message": danger.message} for danger in item.dangers],
            "approvers": sorted(item.approvers),
            "approved": item.is_approved,
        }
        for item in result.judged
    ]
    document = {
        "passed": result.passed,
        "changes": result.changes,
        "expected": list(result.expected),
        "blockers": blockers,
        "unexpected": changes,
        "approvals": list(result.used),
        "notes": list(result.notes),
    }
    return json.dumps(document, indent=1)
