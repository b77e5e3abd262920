"""protos/ say what Google publishes, the checks that hold them so see every kind of edit, and none of it needs a network."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from vision_grpc import v1, v1p1beta1

ROOT = Path(__file__).resolve().parent.parent
VISION = "protos/google/cloud/vision"
V1 = "google.cloud.vision.v1"
GEOMETRY = f"{VISION}/v1/geometry.proto"
ANNOTATOR = f"{VISION}/v1/image_annotator.proto"
P1 = f"{VISION}/v1p1beta1/image_annotator.proto"
OPERATIONS = "protos/google/longrunning/operations.proto"
PRODUCTS = f"{VISION}/v1/product_search_service.proto"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Every way out leads to a closed port, so that a check which wants the network fails instead of passing by luck.
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the two checks read, to be spoilt."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    (tmp_path / "scripts").mkdir()
    for script in ("vendor_protos.py", "buf_check.py"):
        shutil.copyfile(ROOT / "scripts" / script, tmp_path / "scripts" / script)
    return tmp_path


@pytest.fixture
def run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a script of the copy without a network and with a home of its own."""
    home = tmp_path_factory.mktemp("home")

    def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tree / "scripts" / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, env={**os.environ, **OFFLINE, "HOME": str(home)})
        assert "Traceback" not in done.stderr
        return done

    return script


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_the_tree_equals_its_pins_offline(run: Run) -> None:
    """--check passes on protos/ as they are, with no network."""
    done = run("vendor_protos.py", "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "equal" in done.stdout


# Each edit touches a declaration of its own; the lines are all that it may cause.
EDITS = [
    (
        GEOMETRY,
        "int32 x = 1;",
        "int32 left = 1;",
        ["Vertex.left: in protos/, but not published", "Vertex.x: published, but missing in protos/"],
    ),
    (GEOMETRY, "float z = 3;", "float z = 4;", ["Position.z: number is 4, published 3"]),
    (GEOMETRY, "int32 y = 2;", "int64 y = 2;", ['Vertex.y: type is "int64", published "int32"']),
    (GEOMETRY, "repeated Vertex", "Vertex", ['BoundingPoly.vertices: label is "optional", published "repeated"']),
    (
        ANNOTATOR,
        "string mid = 1;",
        "string mid = 1 [deprecated = true];",
        ["EntityAnnotation.mid: option deprecated is true, published null"],
    ),
    (
        ANNOTATOR,
        "string locale = 2;",
        'string locale = 2 [json_name = "l"];',
        ['EntityAnnotation.locale: json name is "l", published "locale"'],
    ),
    (ANNOTATOR, "ImageAnnotationContext context = 21;", "", ["AnnotateImageResponse.context: published, but missing in protos/"]),
    (ANNOTATOR, "string model = 3;", "string model = 3; bool fast = 4;", ["Feature.fast: in protos/, but not published"]),
    (ANNOTATOR, "bytes content = 1;", "bytes content = 1; reserved 9;", ["Image: reserved is [[9, 10]], published []"]),
    (ANNOTATOR, "message LatLongRect {", "message Area {} message LatLongRect {", ["Area: in protos/, but not published"]),
    (
        ANNOTATOR,
        "OBJECT_LOCALIZATION = 19;",
        "OBJECT_LOCALIZATION = 20;",
        [
            "Feature.Type.OBJECT_LOCALIZATION: number is 20, published 19",
            ".v1p1beta1.Feature.Type.OBJECT_LOCALIZATION: number is 19, like …",
        ],
    ),
    (ANNOTATOR, "VERY_LIKELY = 5;", "", ["Likelihood.VERY_LIKELY: published, but missing in protos/"]),
    (
        ANNOTATOR,
        "ImageSource source = 2;",
        "oneof from { ImageSource source = 2; }",
        ['Image.source: oneof is "from", published null'],
    ),
    (
        ANNOTATOR,
        "requests = 1 [(google.api.field_behavior) = REQUIRED]",
        "requests = 1",
        ['BatchAnnotateImagesRequest.requests: option (google.api.field_behavior) is null, published ["REQUIRED"]'],
    ),
    (
        ANNOTATOR,
        '"/v1/{parent=projects/*}/files:annotate"',
        '"/v1/{parent=folders/*}/files:annotate"',
        ["ImageAnnotator.BatchAnnotateFiles: option (google.api.http) is …"],
    ),
    (
        ANNOTATOR,
        '"requests,output_config"',
        '"requests"',
        [
            'ImageAnnotator.AsyncBatchAnnotateImages: option (google.api.method_signature) is ["requests"], published …',
            # What is said to be like it no longer is.
            ".v1p1beta1.ImageAnnotator.AsyncBatchAnnotateImages: option (google.api.method_signature) is …",
        ],
    ),
    (
        ANNOTATOR,
        'response_type: "AsyncBatchAnnotateFilesResponse"',
        'response_type: "Image"',
        ["ImageAnnotator.AsyncBatchAnnotateFiles: option (google.longrunning.operation_info) is …"],
    ),
    (
        ANNOTATOR,
        '"vision.googleapis.com"',
        '"example.com"',
        ['ImageAnnotator: option (google.api.default_host) is "example.com", published "vision.googleapis.com"'],
    ),
    (ANNOTATOR, "/auth/cloud-vision", "/auth/other", ["ImageAnnotator: option (google.api.oauth_scopes) is …"]),
    (
        PRODUCTS,
        "(PurgeProductsRequest) returns (",
        "(PurgeProductsRequest) returns (stream ",
        ["ProductSearch.PurgeProducts: server streaming is true, published false"],
    ),
    (
        PRODUCTS,
        "locations/{location}/products/{product}",
        "places/{location}/products/{product}",
        ["Product: option (google.api.resource) is …"],
    ),
    (
        PRODUCTS,
        'google.api.resource_reference) = {type: "vision.googleapis.com/Product"}',
        'google.api.resource_reference) = {type: "example.com/Product"}',
        ["GetProductRequest.name: option (google.api.resource_reference) is …"],
    ),
    (
        PRODUCTS,
        "bool force = 4;",
        "optional bool force = 4;",
        ["PurgeProductsRequest.force: optional is true, published false", 'PurgeProductsRequest.force: oneof is "_force", published null'],
    ),
    (PRODUCTS, '"com.google.cloud.vision.v1"', '"com.example"', ["/product_search_service.proto: option java_package is …"]),
    (
        OPERATIONS,
        "  rpc WaitOperation(WaitOperationRequest) returns (Operation);",
        "",
        [".Operations.WaitOperation: published, but missing in protos/"],
    ),
    (
        P1,
        "int32 batch_size = 2;",
        "int32 batch_size = 3;",
        [".v1p1beta1.OutputConfig.batch_size: number is 3, like google.cloud.vision.v1.OutputConfig 2"],
    ),
    (P1, "string model = 3;", "string model = 4;", [".v1p1beta1.Feature.model: number is 4, published 3"]),
]


def test_every_kind_of_edit_is_caught_and_named(tree: Path, run: Run) -> None:
    """Offline, each difference in a name, a number, a type, an option … is one line of its own, and nothing else is reported."""
    for file, old, new, _ in EDITS:
        edit(tree / file, old, new)
    done = run("vendor_protos.py", "--check")
    assert done.returncode == 1
    found = done.stdout.splitlines()
    for line in [line for *_, lines in EDITS for line in lines]:
        wanted = line.removesuffix("…") if line.startswith((".", "/")) else f"{V1}.{line.removesuffix('…')}"
        matching = [one for one in found if wanted in one]
        assert len(matching) == 1, (wanted, found)
        found.remove(matching[0])
    assert found == []


def test_comments_layout_and_order_are_ours(tree: Path, run: Run) -> None:
    """Rewording a comment, joining lines and moving a field are no differences."""
    edit(tree / ANNOTATOR, "// One kind of annotation to make.", "// Reworded.")
    edit(tree / ANNOTATOR, "  Image image = 1;\n", "")
    edit(tree / ANNOTATOR, "  ImageContext image_context = 3;\n}", "  ImageContext image_context = 3; Image image = 1; }")
    assert run("vendor_protos.py", "--check").returncode == 0


def test_missing_and_foreign_files_are_named(tree: Path, run: Run) -> None:
    """A file too few and a file too many are differences."""
    (tree / VISION / "v1p4beta1/web_detection.proto").rename(tree / VISION / "v1p4beta1/other.proto")
    edit(tree / VISION / "v1p4beta1/image_annotator.proto", "web_detection.proto", "other.proto")
    done = run("vendor_protos.py", "--check")
    assert done.returncode == 1
    assert "v1p4beta1/web_detection.proto: published, but missing in protos/" in done.stdout
    assert "v1p4beta1/other.proto: in protos/, but not published" in done.stdout


def test_the_digest_decides_and_not_the_image(tree: Path, run: Run) -> None:
    """An edit that was also written to the stored image is still caught; where to look is said."""
    edit(tree / ANNOTATOR, "string model = 3;", "string model = 4;")
    assert run("buf_check.py", "--update").returncode == 0
    done = run("vendor_protos.py", "--check")
    assert done.returncode == 1
    assert "v1/image_annotator.proto: differs from its pinned digest" in done.stdout


def test_what_does_not_compile_is_one_sentence(tree: Path, run: Run) -> None:
    """A syntax error is protoc's own line with file and position, and exit code 2."""
    edit(tree / ANNOTATOR, "message Image {", "message Image [")
    done = run("vendor_protos.py", "--check")
    assert done.returncode == 2
    assert "google/cloud/vision/v1/image_annotator.proto:" in done.stderr


def package(tree: Path, version: str) -> Path:
    """An unpacked package that publishes the tree's own definitions."""
    folder = tree / "package"
    shutil.copytree(tree / "protos", folder / "build/protos")
    (folder / "package.json").write_text(json.dumps({"version": version}))
    return folder


def test_comparing_with_a_package_names_each_difference(tree: Path, run: Run) -> None:
    """Against a published package the same lines come, and pins that do not fit the package are told."""
    folder = package(tree, "9.9.9")
    edit(folder / f"build/{ANNOTATOR}", "string model = 3;", "string model = 7;")
    done = run("vendor_protos.py", "--vision", str(folder))
    assert done.returncode == 1
    assert f"{V1}.Feature.model: number is 3, published 7" in done.stdout
    assert "v1/image_annotator.proto: the pinned digest is not that of the published file" in done.stdout
    assert "9.9.9" in done.stderr


def test_an_addition_that_gets_published_is_told(tree: Path, run: Run) -> None:
    """Once Google publishes what we declared as unpublished, the declaration has to go."""
    done = run("vendor_protos.py", "--vision", str(package(tree, "9.9.9")))
    assert done.returncode == 1
    assert "v1p1beta1.ImageAnnotator.AsyncBatchAnnotateImages: is published now" in done.stdout


def test_pin_writes_what_check_then_accepts(tree: Path, run: Run) -> None:
    """--pin records version and digests of an equal package; it writes nothing where something differs."""
    pins = tree / "protos/upstream.json"
    folder = package(tree, "9.9.9")
    before = pins.read_text()
    assert run("vendor_protos.py", "--pin", "--vision", str(folder)).returncode == 1
    assert pins.read_text() == before
    pins.write_text(json.dumps({**json.loads(before), "unpublished": {}}))
    assert run("vendor_protos.py", "--check").returncode == 1
    assert run("vendor_protos.py", "--pin", "--vision", str(folder)).returncode == 0
    assert json.loads(pins.read_text())["packages"]["@google-cloud/vision"] == "9.9.9"
    assert run("vendor_protos.py", "--check").returncode == 0


def test_a_folder_that_is_no_package_is_one_sentence(tree: Path, run: Run) -> None:
    """--vision with something else says what was looked for."""
    done = run("vendor_protos.py", "--vision", str(tree))
    assert done.returncode == 2
    assert "is not an unpacked @google-cloud/vision" in done.stderr


def test_buf_passes_on_the_tree_offline(run: Run) -> None:
    """Layout, build, lint and breaking pass from a fresh copy with no network."""
    done = run("buf_check.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "layout, build, lint, breaking pass" in done.stdout


BREAKING = {
    "addition retyped": (P1, "int32 batch_size = 2;", "int64 batch_size = 2;", 'batch_size" on message "OutputConfig" changed type'),
    "field removed": (
        OPERATIONS,
        "  string filter = 1;\n",
        "",
        'field "1" with name "filter" on message "ListOperationsRequest" was deleted',
    ),
    "method removed": (OPERATIONS, "  rpc WaitOperation(WaitOperationRequest) returns (Operation);\n", "", 'RPC "WaitOperation"'),
}


@pytest.mark.parametrize("case", BREAKING.values(), ids=BREAKING.keys())
def test_buf_refuses_a_breaking_edit(tree: Path, run: Run, case: tuple[str, str, str, str]) -> None:
    """What would break users of the stored image is refused and named."""
    file, old, new, line = case
    edit(tree / file, old, new)
    done = run("buf_check.py")
    assert done.returncode == 1
    assert line in done.stdout
    assert "breaking" in done.stderr


def test_buf_refuses_an_uncommented_message_and_loose_layout(tree: Path, run: Run) -> None:
    """Lint and layout count too: a message without a comment and a lost indent are each named."""
    edit(tree / ANNOTATOR, "// One kind of annotation to make.\n", "")
    edit(tree / ANNOTATOR, "  string model = 3;", "string model = 3;")
    done = run("buf_check.py")
    assert done.returncode == 1
    assert 'Message "Feature" should have a non-empty comment' in done.stdout
    assert "buf refuses protos/ (layout, lint)" in done.stderr


def test_an_intended_change_is_stored_by_update(tree: Path, run: Run) -> None:
    """--update writes an image that the next run accepts, and an image without which nothing is compared is asked for."""
    (tree / "protos/image.binpb.gz").unlink()
    done = run("buf_check.py")
    assert done.returncode == 2
    assert "--update" in done.stderr
    edit(tree / OPERATIONS, "  string filter = 1;\n", "")
    assert run("buf_check.py", "--update").returncode == 0
    assert run("buf_check.py").returncode == 0


def test_the_stored_image_is_of_this_tree(tree: Path, run: Run) -> None:
    """The image in the tree holds what protos/ hold now, so that a later edit is compared with the present."""
    stored = own_files(tree / "protos/image.binpb.gz")
    assert len(stored) == 18
    assert run("buf_check.py", "--update").returncode == 0
    assert own_files(tree / "protos/image.binpb.gz") == stored


def own_files(image: Path) -> dict[str, bytes]:
    """The definitions of protos/ in an image; what they import differs with the installed googleapis-common-protos."""
    files = descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(image.read_bytes())).file
    ours = ("google/cloud/vision/", "google/longrunning/")
    return {file.name: file.SerializeToString(deterministic=True) for file in files if file.name.startswith(ours)}


@pytest.mark.parametrize("script", ["vendor_protos.py", "buf_check.py"])
def test_help_says_what_a_script_does(run: Run, script: str) -> None:
    """--help prints the script's purpose and options."""
    done = run(script, "--help")
    assert done.returncode == 0
    assert "usage:" in done.stdout
    assert "protos/" in done.stdout


def test_unpublished_messages_have_the_names_of_the_discovery_document() -> None:
    """v1p1beta1's additions carry the JSON names that its REST discovery document (revision 20261016) lists."""
    names: dict[Any, set[str]] = {
        v1p1beta1.AsyncBatchAnnotateImagesRequest: {"requests", "outputConfig", "parent", "labels"},
        v1p1beta1.OutputConfig: {"gcsDestination", "batchSize"},
        v1p1beta1.GcsDestination: {"uri"},
        v1p1beta1.OperationMetadata: {"state", "createTime", "updateTime"},
    }
    for message, expected in names.items():
        assert {field.json_name for field in message.DESCRIPTOR.fields} == expected
    assert dict(v1p1beta1.Feature.Type.items()) == dict(v1.Feature.Type.items())
    states = ["STATE_UNSPECIFIED", "CREATED", "RUNNING", "DONE", "CANCELLED"]
    assert [str(value.name) for value in v1p1beta1.OperationMetadata.State.DESCRIPTOR.values] == states


JUDGE = """
import sys
from google.cloud import {other}
from google.protobuf import descriptor_pb2, descriptor_pool
from vision_grpc import {version}
from vision_grpc._gen import POOL

def shape(message):
    # proto-plus appends "_" to names that Python reserves.
    oneofs = [oneof.name for oneof in message.oneof_decl]
    fields = {{(f.name.rstrip("_"), f.json_name, f.number, f.type, f.label, f.type_name,
               oneofs[f.oneof_index] if f.HasField("oneof_index") else "") for f in message.field}}
    enums = {{e.name: {{(v.name, v.number) for v in e.value}} for e in message.enum_type}}
    return fields, enums, {{nested.name: shape(nested) for nested in message.nested_type}}

def of(pool, name):
    proto = descriptor_pb2.DescriptorProto()
    pool.FindMessageTypeByName(name).CopyToProto(proto)
    return shape(proto)

checked = 0
for name in {version}.__all__:
    thing = getattr({version}, name)
    if not hasattr(thing.DESCRIPTOR, "fields") or name == "Operation":
        continue
    full = thing.DESCRIPTOR.full_name
    ours, theirs = of(POOL, full), of(descriptor_pool.Default(), full)
    assert ours == theirs, (full, ours, theirs)
    checked += 1
print(checked)
"""


@pytest.mark.parametrize(("version", "messages"), [("v1", 83), ("v1p4beta1", 86)])
def test_google_cloud_vision_registers_the_same_messages(version: str, messages: int) -> None:
    """An independent judge: the official Python client's descriptors agree with ours, message by message, in one process."""
    program = JUDGE.format(version=version, other=f"vision_{version}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == messages
