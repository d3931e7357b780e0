"""`./infra docs`: writes docs/components.md from the docstrings of the components and of their arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import griffe

FILE = "docs/components.md"
COMPONENTS = (
    "components.service_environment.ServiceEnvironment",
    "components.subdomain_record.SubdomainRecord",
    "components.isolated_database.IsolatedDatabase",
    "components.load_balanced_instance_group.LoadBalancedInstanceGroup",
    "components.cdn_bucket.CdnBucket",
    "components.mail_domain.MailDomain",
)
# Classes of these packages get a section of their own if an argument has their type.
DOCUMENTED_TYPES = ("components.", "settings.service_spec.")
INTRODUCTION = """\
# Components

<!-- Generated from the docstrings in components/ and settings/service_spec.py. To update it: ./infra docs -->

Each component is a Pulumi `ComponentResource`. It takes a name, an object with its arguments, and optionally
`ResourceOptions`. `components/service_environment.py` shows how they are used.

The types `Release`, `Sizing`, `DatabaseSizing` and `Environment` are parts of the environment files. To read about
their fields:

    ./infra explain services
    ./infra explain environment
"""


@dataclass(frozen=True)
class Section:
    """One class of the reference.

    Attributes:
        title: The name of a component, or of a type of its arguments.
        description: The class's docstring.
        arguments: The class whose fields are listed.
        outputs: The attributes of a component; empty for a type.
    """

    title: str
    description: str
    arguments: griffe.Class
    outputs: tuple[griffe.Attribute, ...] = ()


def write(root: Path) -> int:
    """Write the file, and return an exit code."""
    (root / FILE).write_text(render(root), encoding="utf-8")
    return 0


def render(root: Path) -> str:
    """Return the content of the file. The sources are parsed and never imported, so this needs no Pulumi."""
    modules = griffe.ModulesCollection()
    for package in ("components", "settings"):
        griffe.load(package, search_paths=[root], allow_inspection=False, modules_collection=modules)
    components = [component(modules, path) for path in COMPONENTS]
    types = [argument_type(modules, path) for path in referenced_types(modules, components)]
    titles = {section.title for section in (*components, *types)}
    lines = [INTRODUCTION]
    for section in components:
        lines += render_section(section, modules, titles)
    lines.append("## Types of arguments\n")
    for section in types:
        lines += render_section(section, modules, titles, level="###")
    return "\n".join(lines).rstrip() + "\n"


def component(modules: griffe.ModulesCollection, path: str) -> Section:
    """Return the section of a component: its arguments are those of the class that its constructor takes."""
    documented = class_at(modules, path)
    constructor = documented.members["__init__"]
    assert isinstance(constructor, griffe.Function)
    arguments = constructor.parameters["args"].annotation
    assert isinstance(arguments, griffe.Expr)
    outputs = tuple(public_attributes(documented))
    return Section(documented.name, text_of(documented), class_at(modules, arguments.canonical_path), outputs)


def argument_type(modules: griffe.ModulesCollection, path: str) -> Section:
    """Return the section of a class that arguments have as their type."""
    documented = class_at(modules, path)
    return Section(documented.name, text_of(documented), documented)


def class_at(modules: griffe.ModulesCollection, path: str) -> griffe.Class:
    """Return a class by its full name."""
    definition = modules[path]
    assert isinstance(definition, griffe.Class)
    return definition


def referenced_types(modules: griffe.ModulesCollection, components: list[Section]) -> list[str]:
    """Return the types of arguments that have a section, and the types of their own fields, in order of appearance."""
    pending = [section.arguments for section in components]
    paths: list[str] = []
    while pending:
        for field in public_attributes(pending.pop(0)):
            for name in names_in(annotation_of(field, modules)):
                path = name.canonical_path
                is_new = path.startswith(DOCUMENTED_TYPES) and path not in paths
                if is_new and isinstance(modules[path], griffe.Class):
                    paths.append(path)
                    pending.append(class_at(modules, path))
    return paths


def public_attributes(documented: griffe.Class) -> Iterator[griffe.Attribute]:
    """Yield the attributes that a class declares and does not keep to itself."""
    for member in documented.members.values():
        if isinstance(member, griffe.Attribute) and not member.name.startswith("_") and member.annotation:
            yield member


def annotation_of(field: griffe.Attribute, modules: griffe.ModulesCollection) -> griffe.Expr | str:
    """Return a field's type. A name that only stands for a union is replaced by the union."""
    annotation = field.annotation or ""
    if isinstance(annotation, griffe.ExprName) and annotation.canonical_path.startswith(DOCUMENTED_TYPES):
        target = modules[annotation.canonical_path]
        if isinstance(target, griffe.Attribute):
            return target.value or ""
    return annotation


def names_in(annotation: griffe.Expr | str) -> Iterator[griffe.ExprName]:
    """Yield the names in a type."""
    for part in annotation.iterate(flat=True) if isinstance(annotation, griffe.Expr) else ():
        if isinstance(part, griffe.ExprName):
            yield part


def render_section(
    section: Section, modules: griffe.ModulesCollection, titles: set[str], level: str = "##"
) -> Iterator[str]:
    """Yield the lines of a section."""
    yield from (f"{level} {section.title}", "", section.description, "")
    yield from table("argument" if section.outputs else "field", "type", "default", "description")
    for field in public_attributes(section.arguments):
        annotation = annotation_of(field, modules)
        default = "required" if field.value is None else f"`{field.value}`"
        yield row(f"`{field.name}`", type_cell(annotation, titles), default, text_of(field))
    yield ""
    if section.outputs:
        yield from table("output", "type")
        for output in section.outputs:
            yield row(f"`{output.name}`", type_cell(output.annotation or "", titles))
        yield ""


def table(*columns: str) -> Iterator[str]:
    """Yield the head of a table."""
    yield row(*columns)
    yield row(*("---" for _ in columns))


def type_cell(annotation: griffe.Expr | str, titles: set[str]) -> str:
    """Return a type as code; names that have a section lead there."""
    parts = str(annotation).split(" | ")
    return " or ".join(f"[`{part}`](#{part.lower()})" if part in titles else f"`{part}`" for part in parts)


def row(*cells: str) -> str:
    """Return a row of a table. Its cells are single lines."""
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def text_of(documented: griffe.Object) -> str:
    """Return a docstring, or an empty string."""
    return documented.docstring.value.strip() if documented.docstring else ""
