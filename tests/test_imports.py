"""Which room may know which (DESIGN.md, "Rooms"), the public names, and that the two clients are one."""

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vision_grpc
from vision_grpc import AsyncClient, Client

PACKAGE = Path(vision_grpc.__file__).parent
DOORS = {"v1", "v1p1beta1", "v1p4beta1"}

# What each room may reach, itself left out, directly or through private modules; an import for type annotations is none.
BELOW = {"_gen", *DOORS, "errors", "config"}
ALLOWED = {
    "v1": {"_gen"},
    "v1p1beta1": {"_gen"},
    "v1p4beta1": {"_gen"},
    "errors": {"_gen", *DOORS},
    "config": {"errors"},
    "_calls": BELOW,
    "_operations": BELOW,
    "auth": BELOW,
    "requests": {"_gen", *DOORS, "errors"},
    "client": BELOW | {"auth", "requests"},
    "aio": BELOW | {"auth", "requests"},
    "objects": BELOW,
    "results": BELOW | {"objects", "requests"},
    "emulator": {"_gen", *DOORS, "objects"},
}


def room(path: Path) -> str:
    """The first part of the module's name below the package: "requests", "emulator", "_gen"."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The rooms of this package that a module imports when it runs, anywhere in it."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    modules: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = path.relative_to(PACKAGE.parent).parts[: -node.level]
                base = ".".join([*parents, *([base] if base else [])])
            modules |= {f"{base}.{alias.name}" for alias in node.names} if base == "vision_grpc" else {base}
    return {name.split(".")[1] for name in modules if name.startswith("vision_grpc.")}


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "_gen" not in path.parts)


@cache
def graph() -> dict[str, set[str]]:
    """Which room imports which."""
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        found.setdefault(room(source), set()).update(imported(source) - {room(source)})
    return found


def reached(start: str) -> set[str]:
    """The rooms that a room imports, and those that it reaches through private modules, which are rooms of their own to nobody."""
    found: set[str] = set()
    ahead = list(graph()[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph()[name] if name.startswith("_") and name != "_gen" else []
    return {name for name in found if not name.startswith("_") or name == "_gen"} - {start}


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_imports_go_one_way(name: str) -> None:
    """A room knows no other than those that lie below it."""
    assert reached(name) <= ALLOWED[name]


def test_no_modules_import_each_other() -> None:
    """The imports have no circle, private modules included."""
    assert list(TopologicalSorter(graph()).static_order())


def test_generated_code_imports_nothing_of_ours() -> None:
    """The generated room knows only itself."""
    for path in (PACKAGE / "_gen").rglob("*.py"):
        assert imported(path) <= {"_gen"}, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_are_exact_and_sorted(path: Path) -> None:
    """Each `__all__` is sorted, without duplicates, and every name in it exists; a public module's public definitions are in it."""
    tree = ast.parse(path.read_text())
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    ]
    if not listed:
        return
    names = list(listed[0])
    assert names == sorted(set(names))
    if "beam" in path.parts and importlib.util.find_spec("apache_beam") is None:
        return  # .ci/run imports it in an environment with Apache Beam
    module = importlib.import_module(".".join(["vision_grpc", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"))
    for name in names:
        assert getattr(module, name) is not None


def test_the_door_is_exact() -> None:
    """`vision_grpc` offers the names of `__all__`, each by its first use, and nothing more."""
    namespace: dict[str, object] = {}
    exec("from vision_grpc import *", namespace)
    del namespace["__builtins__"]
    assert sorted(namespace) == vision_grpc.__all__
    assert set(vision_grpc.__all__) <= set(dir(vision_grpc))
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        getattr(vision_grpc, "Cleint")  # noqa: B009


def test_the_door_costs_nothing_until_it_is_used() -> None:
    """`import vision_grpc` loads neither gRPC nor protobuf."""
    code = "import sys, vision_grpc; print(sorted({'grpc', 'google.protobuf', 'google.auth'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def public(client: type) -> dict[str, object]:
    """The public methods of a client, and how it is made."""
    return {name: value for name, value in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_") or name == "__init__"}


def test_both_clients_have_the_same_methods() -> None:
    """Client and AsyncClient differ in nothing but that one waits and the other is awaited."""
    assert public(Client).keys() == public(AsyncClient).keys()


@pytest.mark.parametrize("name", sorted(public(Client)))
def test_both_clients_have_the_same_signatures(name: str) -> None:
    """Each method takes the same arguments, with the same kinds, defaults and types, and gives the same or its async form."""
    sync, other = (inspect.signature(public(client)[name]) for client in (Client, AsyncClient))  # type: ignore[arg-type]
    assert list(sync.parameters.values()) == list(other.parameters.values())
    assert str(other.return_annotation).removeprefix("Async") == str(sync.return_annotation)


def test_what_blocks_in_one_client_is_awaited_in_the_other() -> None:
    """Every method that calls the service is a coroutine, or an async iterator, of AsyncClient."""
    for name, method in public(AsyncClient).items():
        local = name in {"__init__", "operation_metadata"}
        assert (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)) is not local, name
        assert not inspect.iscoroutinefunction(public(Client)[name])


def test_every_public_module_says_its_rule() -> None:
    """Each module has a docstring."""
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
