"""Reads the installed pulumi_aws package, without importing it, into one table of tokens, wire names and types.

Every resource class holds its token in super().__init__('aws:...'), its arguments in <Class>Args and its outputs in
property getters; @pulumi.getter(name=...) gives the name on the wire, the annotation says whether a list was flattened.
A type is "str" | "int" | "bool" | "float" | "any" | ["list", type] | ["map", type] | ["obj", "<module>.<Class>"].
"""

import ast
import importlib.util
import re
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

SCALARS = {"str", "int", "bool", "float"}
WRAPPERS = {"Input", "Output", "Optional", "NotRequired", "InputType", "Awaitable"}
SKIPPED = {"__init__.py", "_enums.py", "_utilities.py"}
Table = dict[str, dict[str, Any]]


def package_folder() -> Path:
    """Return where pulumi_aws is installed."""
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        message = "pulumi_aws is not installed in this environment: remove .venv and run ./infra again"
        raise SandboxError(message)
    return Path(spec.origin).parent


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def type_of(node: ast.expr | None, module: str) -> Any:
    """Return the type that an annotation stands for."""
    if isinstance(node, ast.Constant):
        return type_of(ast.parse(node.value, mode="eval").body, module) if isinstance(node.value, str) else "any"
    if isinstance(node, ast.Subscript):
        base, argument = last_name(node.value), node.slice
        elements = argument.elts if isinstance(argument, ast.Tuple) else [argument]
        if base in WRAPPERS:
            return type_of(argument, module)
        if base == "Union":
            return type_of(elements[0], module)
        if base == "Sequence":
            return ["list", type_of(argument, module)]
        return ["map", type_of(elements[1], module)] if base == "Mapping" else "any"
    if isinstance(node, ast.Name | ast.Attribute):
        name = last_name(node)
        if name in SCALARS:
            return name
        if name in {"Any", "None", "NoneType"}:
            return "any"
        where = ast.unparse(node).split(".")[:-1]
        owner = where[0].lstrip("_") if where and where[0].startswith("_") and where[0] != "_builtins" else module
        return ["obj", f"{owner}.{name}"]
    return "any"


def getters(node: ast.ClassDef, module: str) -> dict[str, list[Any]]:
    """Return wire name -> [Python name, type] of a class's pulumi.getter properties."""
    out: dict[str, list[Any]] = {}
    for function in node.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and last_name(decorator.func) == "getter":
                named = (keyword.value.value for keyword in decorator.keywords if keyword.arg == "name" and isinstance(keyword.value, ast.Constant))
                out[str(next(named, function.name))] = [function.name, type_of(function.returns, module)]
            elif last_name(decorator) == "getter":
                out[function.name] = [function.name, type_of(function.returns, module)]
    return out


def required(node: ast.ClassDef) -> list[str]:
    """Return the Python names of the arguments without a default."""
    function = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if function is None:
        return []
    positional = function.args.args[1:]
    needed = [a.arg for a in positional[: len(positional) - len(function.args.defaults)]]
    return needed + [a.arg for a, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if default is None]


def token_in(tree: ast.AST, function: str) -> str | None:
    """Return the token in a call of super().__init__ or pulumi.runtime.invoke."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) == function and node.args and isinstance(node.args[0], ast.Constant):
            value = node.args[0].value
            if isinstance(value, str) and value.startswith(("aws:", "pulumi:providers:")):
                return value
    return None


def invoke_arguments(function: ast.FunctionDef, module: str) -> dict[str, list[Any]]:
    """Return wire name -> [Python name, type] of what a data source's function takes."""
    annotations = {a.arg: a.annotation for a in function.args.args + function.args.kwonlyargs}
    out: dict[str, list[Any]] = {}
    for node in ast.walk(function):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)):
            continue
        target = node.targets[0]
        if last_name(target.value) == "__args__" and isinstance(target.slice, ast.Constant):
            name = last_name(node.value)
            out[str(target.slice.value)] = [name, type_of(annotations.get(name), module)]
    return out


def resource(name: str, node: ast.ClassDef, classes: dict[str, ast.ClassDef], source: str, module: str) -> dict[str, Any]:
    """Return what there is to know of one resource class."""
    arguments = classes.get(f"{name}Args")
    secrets = re.search(r"additional_secret_outputs=\[([^\]]*)\]", source)
    return {
        "in": getters(arguments, module) if arguments else {},
        "out": getters(node, module),
        "required": required(arguments) if arguments else [],
        "secrets": re.findall(r'"([^"]+)"', secrets[1]) if secrets else [],
    }


def scan(path: Path) -> Table:
    """Return the resources, functions and types of one file."""
    parts = path.relative_to(package_folder()).parts
    module, source = (parts[0] if len(parts) > 1 else "index"), path.read_text(encoding="utf-8")
    out: Table = {"resources": {}, "functions": {}, "types": {}}
    tree = ast.parse(source)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if parts[-1] in {"_inputs.py", "outputs.py"}:
        found = ((name, getters(node, module)) for name, node in classes.items())
        out["types"] = {f"{module}.{name}": members for name, members in found if members}
        return out
    for name, node in classes.items():
        if any(last_name(base) in {"CustomResource", "ProviderResource"} for base in node.bases):
            token = "pulumi:providers:aws" if name == "Provider" else token_in(node, "__init__")
            if token:
                out["resources"][token] = resource(name, node, classes, source, module)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and not function.name.endswith("_output"):
            token = token_in(function, "invoke")
            if token:
                result = next((node for name, node in classes.items() if name.endswith("Result") and not name.startswith("Awaitable")), None)
                out["functions"][token] = {"in": invoke_arguments(function, module), "out": getters(result, module) if result else {}}
    return out


def scan_all() -> Table:
    """Return the table of the whole package; about 14 s on two cores."""
    files = [path for path in package_folder().rglob("*.py") if path.name not in SKIPPED]
    files.sort(key=lambda path: path.stat().st_size, reverse=True)
    total: Table = {"resources": {}, "functions": {}, "types": {}}
    with get_context("spawn").Pool() as pool:
        for part in pool.imap_unordered(scan, files, chunksize=4):
            for kind, found in part.items():
                total[kind].update(found)
    return total
