"""Reads the installed pulumi_aws package, without importing it, into one table of tokens, wire names and types.

Every resource class passes its token to `super().__init__('aws:...')`, has its arguments in `<Class>Args` and its
outputs in property getters. `@pulumi.getter(name=...)` has the name on the wire, and the annotation shows whether a
list was flattened. A type is JSON-like, hence `Any`: "str" | "int" | "bool" | "float" | "any" | ["list", type] |
["map", type] | ["obj", "module.Class"].
"""

import ast
import importlib.util
import re
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from common.errors import SandboxError

SCALARS = {"str", "int", "bool", "float"}
WRAPPERS = {"Input", "Output", "Optional", "NotRequired", "InputType", "Awaitable"}
SKIPPED_FILES = {"__init__.py", "_enums.py", "_utilities.py"}
NESTED_TYPE_FILES = {"_inputs.py", "outputs.py"}
RESOURCE_BASES = {"CustomResource", "ProviderResource"}
PROVIDER_TYPE = "pulumi:providers:aws"
FILES_PER_TASK = 4
# "resources" | "functions" | "types" -> token or class -> entry
Table = dict[str, dict[str, Any]]
# Wire name -> [Python name, type]
Properties = dict[str, list[Any]]


def package_folder() -> Path:
    """Return the folder of the installed pulumi_aws."""
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise SandboxError(
            "pulumi_aws is not installed in .venv, although it is a locked requirement.\n"
            "Delete .venv, then run the same command again:\n"
            "  rm -r .venv"
        )
    return Path(spec.origin).parent


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name; empty for any other expression."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def type_of(annotation: ast.expr | None, module: str) -> Any:
    """Return the type that an annotation stands for. module: the module that the annotation is in."""
    if isinstance(annotation, ast.Constant):
        if not isinstance(annotation.value, str):
            return "any"
        return type_of(ast.parse(annotation.value, mode="eval").body, module)
    if isinstance(annotation, ast.Subscript):
        return generic_type_of(annotation, module)
    if isinstance(annotation, ast.Name | ast.Attribute):
        name = last_name(annotation)
        if name in SCALARS:
            return name
        if name in {"Any", "None", "NoneType"}:
            return "any"
        qualifiers = ast.unparse(annotation).split(".")[:-1]
        is_other_module = qualifiers and qualifiers[0].startswith("_") and qualifiers[0] != "_builtins"
        return ["obj", f"{qualifiers[0].lstrip('_') if is_other_module else module}.{name}"]
    return "any"


def generic_type_of(annotation: ast.Subscript, module: str) -> Any:
    """Return the type that an annotation such as `Optional[Sequence[str]]` stands for."""
    base, argument = last_name(annotation.value), annotation.slice
    elements = argument.elts if isinstance(argument, ast.Tuple) else [argument]
    if base in WRAPPERS:
        return type_of(argument, module)
    if base == "Union":
        return type_of(elements[0], module)
    if base == "Sequence":
        return ["list", type_of(argument, module)]
    return ["map", type_of(elements[1], module)] if base == "Mapping" else "any"


def getters(node: ast.ClassDef, module: str) -> Properties:
    """Return the properties of a class that have the decorator `pulumi.getter`."""
    properties: Properties = {}
    for function in node.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for decorator in function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if last_name(called) == "getter":
                properties[wire_name(decorator, function.name)] = [function.name, type_of(function.returns, module)]
    return properties


def wire_name(decorator: ast.expr, python_name: str) -> str:
    """Return the name that a getter's decorator sets, or else the Python name."""
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return python_name


def required_arguments(node: ast.ClassDef) -> list[str]:
    """Return the Python names of the arguments without a default."""
    constructor = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if constructor is None:
        return []
    arguments = constructor.args
    positional = arguments.args[1:]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [a for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return [argument.arg for argument in required]


def token_in(tree: ast.AST, function: str) -> str | None:
    """Return the token that is the first argument of a call: `super().__init__` or `pulumi.runtime.invoke`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and last_name(node.func) == function and node.args):
            continue
        value = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if isinstance(value, str) and value.startswith(("aws:", "pulumi:providers:")):
            return value
    return None


def invoke_arguments(function: ast.FunctionDef, module: str) -> Properties:
    """Return the arguments of a data source's function."""
    annotations = {a.arg: a.annotation for a in function.args.args + function.args.kwonlyargs}
    properties: Properties = {}
    for node in ast.walk(function):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)):
            continue
        target = node.targets[0]
        if last_name(target.value) == "__args__" and isinstance(target.slice, ast.Constant):
            name = last_name(node.value)
            properties[str(target.slice.value)] = [name, type_of(annotations.get(name), module)]
    return properties


def resource_entry(node: ast.ClassDef, arguments: ast.ClassDef | None, source: str, module: str) -> dict[str, Any]:
    """Return the entry of a resource class. arguments: its `<Class>Args`. source: the text of its file."""
    secrets = re.search(r"additional_secret_outputs=\[([^\]]*)\]", source)
    return {
        "in": getters(arguments, module) if arguments else {},
        "out": getters(node, module),
        "required": required_arguments(arguments) if arguments else [],
        "secrets": re.findall(r'"([^"]+)"', secrets[1]) if secrets else [],
    }


def resources_in(classes: Mapping[str, ast.ClassDef], source: str, module: str) -> dict[str, Any]:
    """Return the entries of the resources in a file, by token."""
    entries: dict[str, Any] = {}
    for name, node in classes.items():
        if any(last_name(base) in RESOURCE_BASES for base in node.bases):
            token = PROVIDER_TYPE if name == "Provider" else token_in(node, "__init__")
            if token:
                entries[token] = resource_entry(node, classes.get(f"{name}Args"), source, module)
    return entries


def functions_in(tree: ast.Module, classes: Mapping[str, ast.ClassDef], module: str) -> dict[str, Any]:
    """Return the entries of the data sources in a file, by token."""
    results = (node for name, node in classes.items() if name.endswith("Result") and not name.startswith("Awaitable"))
    result = next(results, None)
    entries: dict[str, Any] = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and not function.name.endswith("_output"):
            token = token_in(function, "invoke")
            if token:
                entries[token] = {
                    "in": invoke_arguments(function, module),
                    "out": getters(result, module) if result else {},
                }
    return entries


def scan_file(path: Path) -> Table:
    """Return the resources, functions and types in one file of the package."""
    parts = path.relative_to(package_folder()).parts
    module = parts[0] if len(parts) > 1 else "index"
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if path.name in NESTED_TYPE_FILES:
        types = {f"{module}.{name}": getters(node, module) for name, node in classes.items()}
        return {"types": {name: properties for name, properties in types.items() if properties}}
    return {"resources": resources_in(classes, source, module), "functions": functions_in(tree, classes, module)}


def scan_package() -> Table:
    """Return the table of the whole package. This takes about 14 s on two cores."""
    files = [path for path in package_folder().rglob("*.py") if path.name not in SKIPPED_FILES]
    files.sort(key=lambda path: path.stat().st_size, reverse=True)
    table: Table = {"resources": {}, "functions": {}, "types": {}}
    with get_context("spawn").Pool() as pool:
        for part in pool.imap_unordered(scan_file, files, chunksize=FILES_PER_TASK):
            for kind, entries in part.items():
                table[kind].update(entries)
    return table
