"""The result of the gate as text, Markdown or JSON, and as entries of the journal."""

import json
from dataclasses import dataclass
from typing import Literal

from common.console import count
from release.findings import SIGNABLE_RULES, Finding, Rule
from release.gate import GateResult
from release.sign_offs import FOLDER, SignOff
from release.stack_state import name_of

Layout = Literal["text", "markdown", "json"]
LAYOUTS: tuple[Layout, ...] = ("text", "markdown", "json")


@dataclass(frozen=True)
class Style:
    """How a layout marks list items, code and emphasis, and separates sections."""

    item: str
    code: str
    strong: str
    separator: str

    def line(self, text: str) -> str:
        """Return a command or a URN on a line of its own."""
        return f"  {self.code}{text.strip()}{self.code}"

    def item_lines(self, text: str, *details: str) -> list[str]:
        """Return a list item. Commands in the text, and the details, get lines of their own below it."""
        first, *commands = text.splitlines()
        return [f"{self.item}{first}", *(f"  {self.line(detail)}" for detail in (*commands, *details))]


STYLES = {"text": Style("  ", "", "", "\n"), "markdown": Style("- ", "`", "**", "\n\n")}


def owners(result: GateResult) -> str:
    """Return the expected owners as part of a sentence."""
    return f"expected in {', '.join(result.expected)}" if result.expected else "none expected"


def summary(result: GateResult) -> list[str]:
    """Return what the journal records about a gate that passed."""
    return [f"passed: {count(result.changes, 'change')}, {owners(result)}"]


def sign_off_summaries(result: GateResult) -> list[str]:
    """Return what the journal records about the sign-offs that were used."""
    return [
        f"{finding.rule} of {name_of(finding.urn)}, signed off by {sign_off.by}: {sign_off.reason}"
        for finding, sign_off in result.accepted
    ]


def render(result: GateResult, layout: Layout, environment: str, suffix: str = "") -> str:
    """Return the result in a layout. suffix: what the commands in it need in order to act on the same backend."""
    if layout == "json":
        return as_json(result)
    style = STYLES[layout]
    heading = [f"{environment}: {count(result.changes, 'change')}, {owners(result)}"]
    conclusion = ["Gate passed."]
    if not result.passed:
        findings = count(len(result.failures), "finding")
        conclusion = [f"Gate failed: {findings}. Fix what you did not intend."]
        conclusion += advice(result, style, environment, suffix)
    sections = [heading, items(result, style), conclusion]
    return style.separator.join("\n".join(lines) for lines in sections if lines)


def items(result: GateResult, style: Style) -> list[str]:
    """Return the findings and notes as list items."""
    lines = []
    for finding in result.failures:
        name = f"{style.code}{name_of(finding.urn)}{style.code}"
        text = f"{style.strong}{finding.rule}{style.strong}: {name} {finding.message}"
        lines += style.item_lines(text, finding.urn)
    for finding, sign_off in result.accepted:
        name = f"{style.code}{name_of(finding.urn)}{style.code}"
        lines += style.item_lines(f"signed off by {sign_off.by} ({sign_off.reason}): {name} {finding.message}")
    for note in result.notes:
        lines += style.item_lines(f"note: {note}")
    return lines


def advice(result: GateResult, style: Style, environment: str, suffix: str) -> list[str]:
    """Return how to accept what is intended."""
    lines = []
    unexpected = sorted({finding.owner for finding in result.failures if finding.rule == Rule.OUTSIDE})
    if unexpected:
        options = " ".join(f"--meant {owner}" for owner in unexpected)
        lines.append(f"If a code change is meant to affect {', '.join(unexpected)}:")
        lines.append(style.line(f"./infra up {environment} {options}{suffix}"))
    signable = [f for f in result.failures if f.rule in SIGNABLE_RULES and f.rule != Rule.OUTSIDE]
    if signable:
        first = signable[0]
        lines.append(f"To accept any other finding, sign it off and commit the new file in {FOLDER}/:")
        lines.append(style.line(f"./infra sign-off '{first.urn}' --rule {first.rule} --reason ... --days 3"))
    return lines


def as_json(result: GateResult) -> str:
    """Return the result as JSON, for other programs."""

    def row(finding: Finding, sign_off: SignOff | None = None) -> dict[str, str | None]:
        values: dict[str, str | None] = {
            "rule": finding.rule,
            "urn": finding.urn,
            "owner": finding.owner,
            "detail": finding.detail,
            "message": finding.message,
            "signed_off_by": sign_off.by if sign_off else None,
        }
        return values | ({"reason": sign_off.reason} if sign_off else {})

    rows = [row(finding) for finding in result.failures]
    rows += [row(finding, sign_off) for finding, sign_off in result.accepted]
    document = {
        "passed": result.passed,
        "changes": result.changes,
        "expected": list(result.expected),
        "findings": rows,
        "notes": list(result.notes),
    }
    return json.dumps(document, indent=1)
