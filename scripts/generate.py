#!/usr/bin/env python3
"""Compiles protos/ into vision_grpc/_gen/ and writes the typed doors vision_grpc/v1*.py.

protoc comes from the grpcio-tools release that pyproject.toml pins; what our protos import is read from the installed
googleapis-common-protos. protoc's Python output is rewritten so that it registers in the private descriptor pool of
vision_grpc._gen; where the output no longer looks as expected, the script stops with a sentence instead of guessing.
"""

from __future__ import annotations

import argparse
import ast
import filecmp
import re
import subprocess
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "vision_grpc"
VERSIONS = ("v1", "v1p4beta1", "v1p1beta1")
GRPCIO_TOOLS = "1.80.0"

DOOR = '''"""Typed messages and enums of google.cloud.vision.{version}, and google.longrunning.Operation.

Written by scripts/generate.py from protos/; what each message means is said there.
"""

{imports}

__all__ = [
{names}
]
'''


class Unexpected(Exception):
    """protoc's output or the environment is not what this script knows how to handle."""


def proto_files() -> list[str]:
    return sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))


def compile_protos(files: list[str], out: Path) -> None:
    """Runs protoc over `files`, leaving plain (not yet rewritten) Python, .pyi and gRPC modules below `out`."""
    installed = metadata.version("grpcio-tools")
    if installed != GRPCIO_TOOLS:
        raise Unexpected(
            f"grpcio-tools {installed} is installed, but the checked-in code is made by {GRPCIO_TOOLS}: "
            f"pip install grpcio-tools=={GRPCIO_TOOLS}"
        )
    well_known = resources.files("grpc_tools") / "_proto"
    common = Path(str(metadata.distribution("googleapis-common-protos").locate_file("")))
    with tempfile.TemporaryDirectory() as folder:
        # Only what our protos import may be seen of site-packages, else protoc would read our own files from there too.
        for source in [*common.glob("google/api/*.proto"), *common.glob("google/rpc/*.proto"), *common.glob("google/type/*.proto")]:
            target = Path(folder) / source.relative_to(common)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{folder}", f"-I{well_known}"]
            + [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *files],
            check=True,
        )


def replace(text: str, pattern: str, replacement: str, *, count: int | None, where: Path) -> str:
    """re.sub that fails loudly unless it matched `count` times (at least once where count is None)."""
    text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if found != count if count is not None else found == 0:
        raise Unexpected(f"{where.name}: expected {count or 'some'} of {pattern!r}, found {found}; protoc's output changed shape")
    return text


def rewrite(path: Path, siblings: set[str]) -> str:
    """Points a generated module at our package and our pool."""
    text = path.read_text()

    def import_line(match: re.Match[str]) -> str:
        package, module, alias = match["package"], match["module"], match["alias"]
        if f"{package}.{module}" in siblings:
            return f"from vision_grpc._gen.{package} import {module} as {alias}"
        if path.suffix == ".pyi" or path.name.endswith("_pb2_grpc.py"):
            return match[0]
        return f"{match[0]}\n_share({alias})"

    text = re.sub(r"^from (?P<package>google[\w.]*) import (?P<module>\w+_pb2) as (?P<alias>\w+)$", import_line, text, flags=re.MULTILINE)
    if path.suffix == ".pyi":
        text = re.sub(
            r"^from (google[\w.]*)\.(\w+_pb2) import ",
            lambda m: m[0] if f"{m[1]}.{m[2]}" not in siblings else f"from vision_grpc._gen.{m[1]}.{m[2]} import ",
            text,
            flags=re.MULTILINE,
        )
    elif not path.name.endswith("_pb2_grpc.py"):
        text = replace(text, r"^DESCRIPTOR = _descriptor_pool\.Default\(\)\.", "DESCRIPTOR = _POOL.", count=1, where=path)
        text = replace(
            text,
            r"^from google\.protobuf import descriptor_pool as _descriptor_pool$",
            "from vision_grpc._gen import POOL as _POOL, share as _share",
            count=1,
            where=path,
        )
        text = replace(text, r"(_builder\.BuildTopDescriptorsAndMessages\(DESCRIPTOR, )'[\w.]+'", r"\1__name__", count=1, where=path)
        if "_descriptor_pool" in text:
            raise Unexpected(f"{path.name}: a use of the default pool is left after rewriting; protoc's output changed shape")
    return text


def services_in(file: str) -> bool:
    return re.search(r"^service \w+ \{", (PROTOS / file).read_text(), re.MULTILINE) is not None


def top_level_names(module: Path) -> list[str]:
    """The messages and enums that a .pyi declares at its top level."""
    return [node.name for node in ast.parse(module.read_text()).body if isinstance(node, ast.ClassDef)]


def door(version: str, generated: Path) -> str:
    modules = {f"google.cloud.vision.{version}.{path.stem}": top_level_names(path) for path in sorted(generated.glob("*_pb2.pyi"))}
    modules["google.longrunning.operations_pb2"] = ["Operation"]
    imports = "\n".join(
        f"from vision_grpc._gen.{module} import (\n" + "".join(f"    {name},\n" for name in sorted(names)) + ")"
        for module, names in modules.items()
    )
    names = "\n".join(f'    "{name}",' for name in sorted(name for names in modules.values() for name in names))
    return DOOR.format(version=version, imports=imports, names=names)


def generate(out: Path) -> None:
    """Writes the whole generated tree, `_gen/google/…` and the doors, below `out`."""
    files = proto_files()
    siblings = {file.removesuffix(".proto").replace("/", ".") + "_pb2" for file in files}
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        compile_protos(files, raw)
        for file in files:
            stem = file.removesuffix(".proto")
            wanted = [f"{stem}_pb2.py", f"{stem}_pb2.pyi"] + ([f"{stem}_pb2_grpc.py"] if services_in(file) else [])
            for name in wanted:
                target = out / "_gen" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(rewrite(raw / name, siblings))
    for folder_ in sorted(
        {path.parent for path in (out / "_gen").rglob("*.py")}
        | {out / "_gen/google", out / "_gen/google/cloud", out / "_gen/google/cloud/vision"}
    ):
        (folder_ / "__init__.py").touch()
    for version in VERSIONS:
        (out / f"{version}.py").write_text(door(version, out / "_gen/google/cloud/vision" / version))


def outputs(root: Path) -> set[str]:
    found = {path.relative_to(root).as_posix() for path in (root / "_gen/google").rglob("*.py*") if path.suffix in {".py", ".pyi"}}
    return found | {f"{version}.py" for version in VERSIONS if (root / f"{version}.py").exists()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name the files that are stale")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        try:
            generate(fresh)
        except (Unexpected, subprocess.CalledProcessError) as error:
            print(f"generate.py: {error}", file=sys.stderr)
            return 2
        old, new = outputs(PACKAGE), outputs(fresh)
        stale = sorted((old ^ new) | {name for name in old & new if not filecmp.cmp(PACKAGE / name, fresh / name, shallow=False)})
        if arguments.check:
            for name in stale:
                print(f"stale: vision_grpc/{name}")
            if stale:
                print("run scripts/generate.py and commit what it writes", file=sys.stderr)
            return 1 if stale else 0
        for name in old - new:
            (PACKAGE / name).unlink()
        for name in sorted(new):
            target = PACKAGE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((fresh / name).read_bytes())
        print(f"{len(new)} files, {len(stale)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
