"""A request of 2,000 images from URIs, as bytes ready to be sent: checked by this package, unchecked by the others."""

from __future__ import annotations

from google.cloud import vision

from benchmarks import Table, compare
from vision_grpc import image_requests, v1
from vision_grpc.requests import async_request, check_request

IMAGES = 2000
DESTINATION = "gs://results/run-17/"
_RAW = "raw protobuf loop, no checks"
_OURS = "vision_grpc, checked"
_OBJECTS = "google-cloud-vision, objects"
_DICTS = "google-cloud-vision, dicts"


def uris(count: int = IMAGES) -> list[str]:
    return [f"gs://photos-of-2026/scans/box-{index // 100:03d}/page-{index:06d}.jpg" for index in range(count)]


def raw(names: list[str]) -> bytes:
    """The loop that protobuf's own documentation would have one write."""
    request = v1.AsyncBatchAnnotateImagesRequest()
    for uri in names:
        image_request = request.requests.add()
        image_request.image.source.image_uri = uri
        image_request.features.add(type=v1.Feature.Type.TEXT_DETECTION)
    request.output_config.gcs_destination.uri = DESTINATION
    return request.SerializeToString()


def ours(names: list[str]) -> bytes:
    """What `Client.async_batch_annotate(image_requests(uris, "text"), destination)` does before it sends."""
    request = async_request(v1, image_requests(names, "text"), DESTINATION, None, None)
    check_request(request)
    return request.SerializeToString()


def objects(names: list[str]) -> bytes:
    """google-cloud-vision's message objects."""
    requests = [
        vision.AnnotateImageRequest(
            image=vision.Image(source=vision.ImageSource(image_uri=uri)),
            features=[vision.Feature(type_=vision.Feature.Type.TEXT_DETECTION)],
        )
        for uri in names
    ]
    output = vision.OutputConfig(gcs_destination=vision.GcsDestination(uri=DESTINATION))
    request = vision.AsyncBatchAnnotateImagesRequest(requests=requests, output_config=output)
    wire: bytes = vision.AsyncBatchAnnotateImagesRequest.serialize(request)
    return wire


def dicts(names: list[str]) -> bytes:
    """google-cloud-vision from dicts, as its samples do."""
    kind = vision.Feature.Type.TEXT_DETECTION
    requests = [{"image": {"source": {"image_uri": uri}}, "features": [{"type_": kind}]} for uri in names]
    output = {"gcs_destination": {"uri": DESTINATION}}
    request = vision.AsyncBatchAnnotateImagesRequest({"requests": requests, "output_config": output})
    wire: bytes = vision.AsyncBatchAnnotateImagesRequest.serialize(request)
    return wire


def run(rounds: int, images: int = IMAGES, repeat: int = 5) -> list[Table]:
    """Builds the same request by each way; their bytes are compared first."""
    names = uris(images)
    ways = {_RAW: raw, _OURS: ours, _OBJECTS: objects, _DICTS: dicts}
    assert len({way(names) for way in ways.values()}) == 1
    contenders = {name: (lambda way=way: way(names)) for name, way in ways.items()}
    table = compare(f"a request of {images:,} images, {len(raw(names)) / 1e3:.0f} kB; bytes equal", contenders, rounds, repeat=repeat)
    table.aim("CPU, checked and serialised ÷ raw protobuf loop", _OURS, _RAW, at_most=1.6)
    table.aim("CPU, official objects ÷ vision_grpc", _OURS, _OBJECTS, at_least=10)
    table.aim("CPU, official dicts ÷ vision_grpc", _OURS, _DICTS, at_least=3)
    return [table]
