"""What a preview would change, property by property, with documents compared by content. Pure.

A change is the unit that the gate judges and that people approve. Everything that a preview shows becomes one: a
property, a resource option, a creation, a deletion, a replacement, a setting of a provider.
"""

import base64
import binascii
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from release.provider_changes import is_provider, is_upgraded, provider_settings, upgrades
from release.stack_state import (
    STACK_TYPE,
    StackState,
    owner_of,
    parents_by_urn,
    type_of,
)

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # a preview's placeholder for values that are known after the update
SECRET_MARKER = "4dabf18193072939515e22adb298388d"  # noqa: S105 marks a secret in Pulumi's JSON
SECRET, UNKNOWN_TEXT = "(secret)", "(known after the update)"
SHOWN_SECRET = "[secret]"  # noqa: S105 how a preview shows a secret
REPLACING = frozenset({"replace", "create-replacement", "delete-replaced", "discard-replaced", "import-replacement"})
DELETING = frozenset({"delete", "discard", "remove-pending-replace"})
CREATING = frozenset({"create", "import"})
CREATE, UPDATE, REPLACE, DELETE = "create", "update", "replace", "delete"
KEEP = "keep"  # code prevents a change that the program so far would make
OPTION = "option:"  # the prefix of a property that is a resource option
# What a resource's state contains besides its options. Every other key that differs is a changed option.
NOT_OPTIONS = frozenset(
    {
        "urn",
        "custom",
        "id",
        "type",
        "inputs",
        "outputs",
        "created",
        "modified",
        "sourcePosition",
        "stackTrace",
        "initErrors",
        "dependencies",
        "propertyDependencies",
        "pendingReplacement",
        "delete",
        "external",
        "refreshBeforeUpdate",
    }
)
PLAN_OPTIONS = {"deleteBeforeReplace": False, "structuredAliases": [], "aliases": []}  # only a plan has these
BOOKKEEPING = frozenset({"__defaults", "__meta"})  # what a provider's bridge notes for itself
AUTOMATIC_NAME = re.compile(r"-[0-9a-f]{7}$")
ENVIRONMENT_LINE = re.compile(r"^echo (?P<content>[A-Za-z0-9+/=]*) \| base64 -d > /etc/service\.env$")
MISSING = "(missing)"
SHOWN_LENGTH = 200  # how many characters of a long value are shown
CONTEXT = 40  # how many of them are before a difference


@dataclass(frozen=True, order=True)
class Change:
    """One change.

    Attributes:
        urn: The resource.
        operation: `create`, `update`, `replace`, `delete`, or `keep` for a change that code prevents.
        property: The path of the property, `option:` and a resource option, or empty for the resource as a whole.
        old: The value before, as JSON; empty if there is none.
        new: The value after, as JSON; empty if there is none.
        owner: The service that the resource belongs to, or `foundation`, according to the deployed chain of parents.
    """

    urn: str
    operation: str
    property: str
    old: str
    new: str
    owner: str


def value_digest(value: str) -> str:
    """Return a digest of a value, for a file that must not contain the value itself."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def canonical(value: Any, name: str = "") -> Any:
    """Return a value with the documents in it decoded: JSON text, user data, and what is secret or unknown.

    name: of the property; user data is recognized by it.
    """
    if isinstance(value, Mapping):
        if SECRET_MARKER in value:
            return SECRET
        return {key: canonical(item, key) for key, item in value.items() if key not in BOOKKEEPING and item is not None}
    if isinstance(value, list | tuple):
        return [canonical(item, name) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return canonical_text(value, name) if isinstance(value, str) else value


def canonical_text(value: str, name: str) -> Any:
    """Return a text with the document in it decoded."""
    if value == SHOWN_SECRET:
        return SECRET
    if UNKNOWN in value:
        return UNKNOWN_TEXT
    if name in {"userData", "userDataBase64"}:
        return decode_user_data(value)
    if value[:1] in {"{", "["}:
        try:
            return canonical(json.loads(value), name)
        except ValueError:
            return value
    return value


def decode_user_data(text: str) -> Any:
    """Return a start script as its lines and the environment variables in it; the text itself if it is another one."""
    try:
        script = base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return text
    lines, variables = [], {}
    for line in script.splitlines():
        match = ENVIRONMENT_LINE.match(line)
        if match is None:
            lines.append(line)
            continue
        lines.append(ENVIRONMENT_LINE.pattern)
        for entry in base64.b64decode(match["content"]).decode("utf-8").splitlines():
            key, _, content = entry.partition("=")
            variables[key] = content
    return {"script": lines, "environment": variables}


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, old value, new value) for each leaf that differs between two canonical values.

    A value that does not exist is MISSING. Lists of one length are compared item by item; others by the items that are
    added (`path[+]`) and removed (`path[-]`).
    """
    if as_text(old) == as_text(new):  # to Python, true and 1 are equal
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key, MISSING), new.get(key, MISSING), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list):
        yield from list_differences(old, new, path)
    elif isinstance(new, Mapping) and old == MISSING:
        yield from differences({}, new, path)
    elif isinstance(old, Mapping) and new == MISSING:
        yield from differences(old, {}, path)
    else:
        yield path, old, new


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, leaf) of each leaf in a canonical value. Empty maps and lists are leaves."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from flatten(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from flatten(item, f"{path}[{index}]")
    else:
        yield path, value


def list_differences(old: list[Any], new: list[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs between two lists."""
    if len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
        return
    before, after = (Counter(json.dumps(item, sort_keys=True) for item in items) for items in (old, new))
    for item in sorted((before - after).elements()):
        yield f"{path}[-]", json.loads(item), MISSING
    for item in sorted((after - before).elements()):
        yield f"{path}[+]", MISSING, json.loads(item)


def as_text(value: Any) -> str:
    """Return a value as a change keeps it."""
    return "" if value == MISSING else json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Preview:
    """A preview with everything that the gate needs: its report (with unchanged resources) and its update plan."""

    report: Mapping[str, Any]
    plan: Mapping[str, Any]

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """The steps of the report."""
        return self.report.get("steps") or []


def changes_in(preview: Preview, deployed: StackState) -> list[Change]:
    """Return every change in a preview, sorted."""
    parents = deployed_parents(preview, deployed)
    found: set[Change] = set()
    upgraded = upgrades(preview.plan, deployed.resources)
    for step in preview.steps:
        if type_of(step["urn"]) != STACK_TYPE and step["urn"] not in upgraded:  # the stack changes with its outputs
            changes = step_changes(step, owner_of(step["urn"], parents))
            found |= {change for change in changes if not is_upgrade(change, upgraded)}
    found |= {*plan_changes(preview.plan, parents), *provider_changes(preview, deployed, upgraded, parents)}
    names = automatic_names(preview)
    return sorted({replace(change, new=with_stable_names(change.new, names)) for change in found})


def is_upgrade(change: Change, upgraded: Mapping[str, str]) -> bool:
    """Tell whether a change only moves a resource to the next version of its provider."""
    if change.property != f"{OPTION}provider" or not change.old or not change.new:
        return False
    return is_upgraded(json.loads(change.old), json.loads(change.new), upgraded)


def automatic_names(preview: Preview) -> dict[str, str]:
    """Return what stands for each name that Pulumi would choose. Every preview chooses others."""
    names: dict[str, str] = {}
    for step in preview.steps:
        inputs = (step.get("newState") or {}).get("inputs") or {}
        if step["op"] in CREATING | REPLACING:
            values = [inputs.get(key) for key in inputs.get("__defaults") or ()]
            texts = [value for value in values if isinstance(value, str) and AUTOMATIC_NAME.search(value)]
            names |= {text: AUTOMATIC_NAME.sub("-(automatic)", text) for text in texts}
    return names


def with_stable_names(text: str, names: Mapping[str, str]) -> str:
    """Return a text with what stands for automatic names in it."""
    for name, stable in names.items():
        text = text.replace(name, stable)
    return text


def deployed_parents(preview: Preview, deployed: StackState) -> dict[str, str]:
    """Return each resource's parent. What is deployed wins over what the new program claims."""
    states = [step.get("newState") or step.get("oldState") or {"urn": step["urn"]} for step in preview.steps]
    return parents_by_urn(states) | parents_by_urn(deployed.resources)


def step_changes(step: Mapping[str, Any], owner: str) -> Iterator[Change]:
    """Yield the changes in one step."""
    urn, kind = step["urn"], step["op"]
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    if kind in CREATING:
        yield Change(urn, CREATE, "", "", as_text(canonical(new.get("inputs") or {})), owner)
        yield from option_changes(urn, CREATE, {}, new, owner)
        return
    if kind in DELETING:
        yield Change(urn, DELETE, "", as_text(canonical(old.get("inputs") or {})), "", owner)
        return
    operation = REPLACE if kind in REPLACING else UPDATE
    changed = list(property_changes(step, operation, owner))
    if kind in REPLACING:
        yield Change(urn, REPLACE, "", "", "", owner)
    elif kind not in {"same", "read", "refresh"} and not changed and is_unexplained(step):
        yield Change(urn, UPDATE, "", "", as_text(sorted(step.get("diffReasons") or [])), owner)
    yield from changed
    if old.get("urn", urn) != urn:
        yield Change(urn, operation, "urn", as_text(old["urn"]), as_text(urn), owner)
    if old and new:
        yield from option_changes(urn, operation, old, new, owner)


def is_unexplained(step: Mapping[str, Any]) -> bool:
    """Tell whether a step updates a resource for a reason that its inputs do not show."""
    return bool(step.get("diffReasons") or step.get("detailedDiff"))


def property_changes(step: Mapping[str, Any], operation: str, owner: str) -> Iterator[Change]:
    """Yield each property that a step changes. A secret counts as changed if Pulumi says that its property changes."""
    old, new = ((step.get(state) or {}).get("inputs") or {} for state in ("oldState", "newState"))
    before, after = canonical(old), canonical(new)
    reported = {
        re.split(r"[.\[]", path)[0] for path in [*(step.get("diffReasons") or []), *(step.get("detailedDiff") or {})]
    }
    if step["op"] != "same":
        for name in reported:
            if before.get(name) == after.get(name) and SECRET in as_text(after.get(name, MISSING)):
                yield Change(step["urn"], operation, name, as_text(SECRET), as_text(f"{SECRET}, changed"), owner)
    for path, value, other in differences(before, after):
        yield Change(step["urn"], operation, path, as_text(value), as_text(other), owner)


def option_changes(
    urn: str, operation: str, old: Mapping[str, Any], new: Mapping[str, Any], owner: str
) -> Iterator[Change]:
    """Yield each resource option that differs. For a creation, that is each one that is set."""
    for key in sorted({*old, *new} - NOT_OPTIONS):
        if not old and key in {"parent", "provider"}:
            continue  # the parent is judged with the creation; a changed provider shows in the plan
        before, after = old.get(key), new.get(key)
        if (before or None) != (after or None):
            yield Change(urn, operation, f"{OPTION}{key}", as_text(before), as_text(after), owner)


def plan_changes(plan: Mapping[str, Any], parents: Mapping[str, str]) -> Iterator[Change]:
    """Yield options that only a plan shows."""
    for urn, entry in (plan.get("resourcePlans") or {}).items():
        goal, steps = entry.get("goal") or {}, entry.get("steps") or []
        if is_provider(urn):
            continue
        owner = owner_of(urn, parents)
        operation = next((kind for kind in steps if kind != "same"), UPDATE)
        operation = REPLACE if operation in REPLACING else CREATE if operation in CREATING else UPDATE
        for key, default in PLAN_OPTIONS.items():
            value = foreign_aliases(goal.get(key)) if key == "structuredAliases" else goal.get(key)
            if value and value != default:
                yield Change(urn, operation, f"{OPTION}{key}", as_text(default), as_text(value), owner)


def foreign_aliases(aliases: Any) -> list[Any]:
    """Return aliases without those that pulumi-aws itself gives to types that it has renamed."""
    return [alias for alias in aliases or [] if not is_type_alias(alias)]


def is_type_alias(alias: Mapping[str, Any]) -> bool:
    """Tell whether an alias only names another AWS type."""
    return {key for key, value in alias.items() if value} == {"Type"} and str(alias["Type"]).startswith("aws:")


def provider_changes(
    preview: Preview, deployed: StackState, upgraded: Mapping[str, str], parents: Mapping[str, str]
) -> Iterator[Change]:
    """Yield the changes of providers. Their settings affect every resource that uses them. upgraded: of `upgrades`."""
    for setting in provider_settings(preview.plan, deployed.resources, upgraded, canonical):
        urn, owner = setting.urn, owner_of(setting.urn, parents)
        if setting.name:
            old, new = (MISSING if value is None else value for value in (setting.old, setting.new))
            yield Change(urn, UPDATE, setting.name, as_text(old), as_text(new), owner)
        for kind in setting.steps:
            operation = CREATE if kind in CREATING else DELETE if kind in DELETING else UPDATE
            yield Change(urn, operation, "", "", "", owner)


def describe(change: Change) -> str:
    """Return a change as the rest of a sentence that starts with the resource's name."""
    if change.operation == KEEP:
        return f"would no longer change as it should: {change.property or 'the resource'} stays {shorten(change.old)}"
    if not change.property:
        return {
            CREATE: "would be created",
            DELETE: "would be deleted",
            REPLACE: "would be replaced: deleted and created again",
            UPDATE: f"would be updated ({change.new})",
        }[change.operation]
    label = change.property.removeprefix(OPTION) if change.property.startswith(OPTION) else change.property
    kind = "option " if change.property.startswith(OPTION) else ""
    # The part that differs must be visible, so only some context remains of what both values begin with.
    equal = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(change.old, change.new, strict=False))
    start = max(len(list(equal)) - CONTEXT, 0)
    return f"{kind}{label}: {shorten(change.old, start)} -> {shorten(change.new, start)}"


def shorten(value: str, start: int = 0) -> str:
    """Return a value, or the part of it that begins at a position, for one line of output."""
    if len(value) <= SHOWN_LENGTH:
        return value or "(none)"
    before, after = "..." if start else "", "..." if len(value) > start + SHOWN_LENGTH else ""
    return f"{before}{value[start : start + SHOWN_LENGTH]}{after} ({len(value)} characters)"
