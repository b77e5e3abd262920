#!/usr/bin/env python3
"""Holds the definitions in protos/ equal to those that Google publishes.

Both sides are compiled, and their descriptors compared declaration by declaration: names, numbers, types, labels, oneofs,
JSON names, reserved ranges, enum values, methods, streaming, and every option. Comments, layout, order and imports are
ours. Each difference is one line; any that protos/upstream.json does not declare makes the exit code 1.

Without --check, the published packages are fetched: Vision from npm (@google-cloud/vision), google.longrunning from the
installed googleapis-common-protos. With --check nothing is fetched: the digests in protos/upstream.json stand for the
published files, and the stored image of scripts/buf_check.py helps to name what differs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PINS = PROTOS / "upstream.json"
IMAGE = PROTOS / "image.binpb.gz"
VERSIONS = ("v1", "v1p4beta1", "v1p1beta1")
LONGRUNNING = "google/longrunning/operations.proto"
VISION_PACKAGE = "@google-cloud/vision"
COMMON_PACKAGE = "googleapis-common-protos"

# Importing these registers the extensions by which options such as google.api.http are readable instead of unknown bytes.
EXTENSIONS = ("google.api.annotations_pb2", "google.api.client_pb2", "google.api.field_behavior_pb2", "google.api.resource_pb2")
for _module in (*EXTENSIONS, "google.longrunning.operations_pb2"):
    importlib.import_module(_module)

Facts: TypeAlias = dict[str, dict[str, Any]]
"""What is said of each declaration: {"google.cloud.vision.v1.Feature.model": {"number": 3, "type": "string", …}}."""


class Unavailable(Exception):
    """Something that the comparison needs is missing; the text says what to do."""


def copy_imports(folder: Path) -> None:
    """Copies what protos/ import but do not hold (google/api, google/rpc, google/type) from the installed package."""
    common = common_protos()
    for package in ("api", "rpc", "type"):
        target = folder / "google" / package
        target.mkdir(parents=True, exist_ok=True)
        for source in (common / "google" / package).glob("*.proto"):
            shutil.copyfile(source, target / source.name)


def common_protos() -> Path:
    try:
        return Path(str(metadata.distribution(COMMON_PACKAGE).locate_file("")))
    except metadata.PackageNotFoundError:
        raise Unavailable(f"{COMMON_PACKAGE} is not installed: pip install {COMMON_PACKAGE}") from None


def compile_protos(folder: Path) -> dict[str, Facts]:
    """The facts of every .proto file below `folder`, by file name."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as temporary:
        imports, output = Path(temporary) / "imports", Path(temporary) / "set.binpb"
        copy_imports(imports)
        try:
            well_known = resources.files("grpc_tools") / "_proto"
        except ModuleNotFoundError:
            raise Unavailable("grpcio-tools is not installed: pip install 'vision-grpc[dev]'") from None
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{imports}", f"-I{well_known}", f"-o{output}", *files]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"protoc refuses the files below {folder}:\n{done.stderr.strip()}")
        return read_set(output.read_bytes())


def read_set(data: bytes) -> dict[str, Facts]:
    """The facts of each file of a serialized FileDescriptorSet."""
    return {file.name: dict(file_facts(file)) for file in descriptor_pb2.FileDescriptorSet.FromString(data).file}


def plain(value: Any, enum: Any = None) -> Any:
    """A message's set fields as JSON values, unknown fields included, so that no option escapes the comparison."""
    if isinstance(value, Message):
        fields = {(f"({f.full_name})" if f.is_extension else f.name): plain(item, f.enum_type) for f, item in value.ListFields()}
        strange = UnknownFieldSet(value)
        return fields | {f"#{strange[i].field_number}": repr(strange[i].data) for i in range(len(strange))}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and enum is not None:
        return enum.values_by_number[value].name if value in enum.values_by_number else value
    if isinstance(value, str | int | float):
        return value
    return [plain(item, enum) for item in value]


def options(message: Any) -> dict[str, Any]:
    return {f"option {name}": value for name, value in plain(message.options).items()}


def enum_name(enum: Any, prefix: str, number: int) -> str:
    return str(enum.Name(number)).removeprefix(prefix).lower()


def file_facts(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, dict[str, Any]]]:
    yield file.name, {"package": file.package, "syntax": file.syntax, **options(file)}
    for extension in file.extension:
        yield from field_facts(extension, file.package, [])
    for enum in file.enum_type:
        yield from enum_facts(enum, file.package)
    for message in file.message_type:
        yield from message_facts(message, file.package)
    for service in file.service:
        yield from service_facts(service, file.package)


def message_facts(message: descriptor_pb2.DescriptorProto, scope: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = f"{scope}.{message.name}"
    oneofs = [oneof.name for oneof in message.oneof_decl]
    reserved = {"reserved": [[r.start, r.end] for r in message.reserved_range] + list(message.reserved_name)}
    yield path, {"kind": "message", **reserved, **options(message)}
    for field in [*message.field, *message.extension]:
        yield from field_facts(field, path, oneofs)
    for enum in message.enum_type:
        yield from enum_facts(enum, path)
    for nested in message.nested_type:
        yield from message_facts(nested, path)


def field_facts(field: descriptor_pb2.FieldDescriptorProto, scope: str, oneofs: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield (
        f"{scope}.{field.name}",
        {
            "kind": f"extension of {field.extendee}" if field.extendee else "field",
            "number": field.number,
            "type": field.type_name or enum_name(field.Type, "TYPE_", field.type),
            "label": enum_name(field.Label, "LABEL_", field.label),
            "oneof": oneofs[field.oneof_index] if field.HasField("oneof_index") else None,
            "optional": field.proto3_optional,
            "json name": field.json_name,
            **options(field),
        },
    )


def enum_facts(enum: descriptor_pb2.EnumDescriptorProto, scope: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = f"{scope}.{enum.name}"
    reserved = {"reserved": [[r.start, r.end] for r in enum.reserved_range] + list(enum.reserved_name)}
    yield path, {"kind": "enum", **reserved, **options(enum)}
    for value in enum.value:
        yield f"{path}.{value.name}", {"kind": "enum value", "number": value.number, **options(value)}


def service_facts(service: descriptor_pb2.ServiceDescriptorProto, scope: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = f"{scope}.{service.name}"
    yield path, {"kind": "service", **options(service)}
    for method in service.method:
        streaming = {"client streaming": method.client_streaming, "server streaming": method.server_streaming}
        types = {"request": method.input_type, "response": method.output_type}
        yield f"{path}.{method.name}", {"kind": "method", **types, **streaming, **options(method)}


def under(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def without(files: dict[str, Facts], names: Iterable[str]) -> dict[str, Facts]:
    """The same files less the declarations called `names` and all inside them."""
    names = list(names)
    return {file: {path: f for path, f in facts.items() if not any(under(path, n) for n in names)} for file, facts in files.items()}


def merged(files: dict[str, Facts]) -> Facts:
    return {path: said for facts in files.values() for path, said in facts.items()}


def digest(facts: Facts) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def differences(ours: Facts, published: Facts, *, called: str = "published") -> Iterator[str]:
    """One line for each declaration that only one side has, and for each attribute that differs."""
    for path in sorted(ours.keys() | published.keys()):
        if path not in ours:
            yield f"{path}: {called}, but missing in protos/"
        elif path not in published:
            yield f"{path}: in protos/, but not {called}"
        else:
            mine, theirs = ours[path], published[path]
            for name in sorted(mine.keys() | theirs.keys()):
                if mine.get(name) != theirs.get(name):
                    yield f"{path}: {name} is {json.dumps(mine.get(name))}, {called} {json.dumps(theirs.get(name))}"


def addition_differences(ours: dict[str, Facts], unpublished: dict[str, str]) -> Iterator[str]:
    """Where a declared addition is not what upstream.json says: the v1 declaration of that name, moved to its own package."""
    everything = merged(ours)
    for name, model in unpublished.items():
        moved = json.dumps({path: said for path, said in everything.items() if under(path, model)})
        version = re.search(r"\.vision\.(\w+)\.", name)
        if name not in everything or version is None:
            yield f"{name}: upstream.json declares it as unpublished, but protos/ does not hold it"
            continue
        moved = moved.replace(".vision.v1.", f".vision.{version[1]}.").replace("/v1/", f"/{version[1]}/")
        here = {path: said for path, said in everything.items() if under(path, name)}
        yield from differences(here, json.loads(moved), called=f"like {model}")


def offline_differences(ours: dict[str, Facts], pins: dict[str, Any]) -> Iterator[str]:
    """What the pinned digests say; details come from the stored image where that still is the published definition."""
    pinned, unpublished = pins["files"], pins["unpublished"]
    here = without(ours, unpublished)
    image = without(read_set(gzip.decompress(IMAGE.read_bytes())), unpublished) if IMAGE.exists() else {}
    for file in sorted(pinned.keys() | here.keys()):
        if file not in here:
            yield f"{file}: published, but missing in protos/"
        elif file not in pinned:
            yield f"{file}: in protos/, but not published"
        elif digest(here[file]) != pinned[file]:
            if file in image and digest(image[file]) == pinned[file]:
                yield from differences(here[file], image[file])
            else:
                yield f"{file}: differs from its pinned digest; scripts/vendor_protos.py without --check names what differs"


def fetch_vision(version: str, folder: Path) -> Path:
    """Downloads and unpacks one release of the npm package below `folder`."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(f"npm is not installed; unpack {VISION_PACKAGE} yourself and name its folder by --vision")
    command = [npm, "pack", f"{VISION_PACKAGE}@{version}", "--pack-destination", str(folder), "--silent"]
    done = subprocess.run(command, capture_output=True, text=True)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        raise Unavailable(f"npm cannot fetch {VISION_PACKAGE}@{version}: {done.stderr.strip() or 'no archive came'}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def published_facts(vision: Path) -> dict[str, Facts]:
    """Compiles the published files: Vision's from an unpacked npm package, longrunning's from the installed package."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for version in VERSIONS:
            source = vision / "build/protos/google/cloud/vision" / version
            if not source.is_dir():
                raise Unavailable(f"{vision} is not an unpacked {VISION_PACKAGE}: there is no {source.relative_to(vision)}")
            shutil.copytree(source, folder / "google/cloud/vision" / version)
        target = folder / LONGRUNNING
        target.parent.mkdir(parents=True)
        shutil.copyfile(common_protos() / "google/longrunning/operations_proto.proto", target)
        return compile_protos(folder)


def compare_published(arguments: argparse.Namespace, ours: dict[str, Facts], pins: dict[str, Any]) -> list[str]:
    """Compares with the published packages; with --pin, writes what they were to upstream.json where nothing differs."""
    with tempfile.TemporaryDirectory() as temporary:
        version = arguments.vision_version or pins["packages"][VISION_PACKAGE]
        vision = arguments.vision or fetch_vision(version, Path(temporary))
        published = published_facts(vision)
        version = json.loads((vision / "package.json").read_text())["version"]
    common = metadata.version(COMMON_PACKAGE)
    print(f"compared with {VISION_PACKAGE} {version} and {COMMON_PACKAGE} {common}", file=sys.stderr)
    found = [
        f"{name}: is published now; take it out of upstream.json's unpublished" for name in pins["unpublished"] if name in merged(published)
    ]
    found += differences(merged(without(ours, pins["unpublished"])), merged(published))
    digests = {file: digest(facts) for file, facts in sorted(published.items())}
    if arguments.pin and not found:
        pins["packages"] |= {VISION_PACKAGE: version, COMMON_PACKAGE: common}
        pins["files"] = digests
        PINS.write_text(json.dumps(pins, indent=2) + "\n")
    elif not arguments.pin and digests != pins["files"]:
        stale = [file for file in sorted(digests.keys() | pins["files"].keys()) if digests.get(file) != pins["files"].get(file)]
        found += [f"{file}: the pinned digest is not that of the published file; run with --pin" for file in stale]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="offline: compare with the pinned digests only")
    mode.add_argument("--pin", action="store_true", help="write the packages' versions and digests to protos/upstream.json")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--vision", type=Path, metavar="DIR", help=f"an unpacked {VISION_PACKAGE} instead of fetching one")
    source.add_argument("--vision-version", metavar="V", help="the release to fetch, such as latest; default: the pinned one")
    arguments = parser.parse_args()
    try:
        pins = json.loads(PINS.read_text())
        ours = compile_protos(PROTOS)
        found = [*addition_differences(ours, pins["unpublished"])]
        found += offline_differences(ours, pins) if arguments.check else compare_published(arguments, ours, pins)
    except (Unavailable, OSError, KeyError, ValueError) as error:
        print(f"vendor_protos.py: {error}", file=sys.stderr)
        return 2
    print("\n".join(found) if found else f"{len(ours)} files, {len(merged(ours))} declarations: equal")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
