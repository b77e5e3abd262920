"""What a typed user writes; checked by mypy --strict and pyright, never run."""

from collections.abc import Sequence

from vision_grpc import AsyncClient, Client, image_requests, operation_metadata, v1, v1p1beta1, v1p4beta1


def sync(uris: Sequence[str]) -> str:
    text = v1.Feature(type=v1.Feature.Type.TEXT_DETECTION, max_results=10)
    requests: list[v1.AnnotateImageRequest] = image_requests(uris, [text, "faces"], {"language_hints": ["en"]})
    with Client() as client:
        operation: v1.Operation = client.async_batch_annotate(
            requests=requests, output_config="gs://bucket/prefix/", parent="projects/p/locations/eu", labels={"team": "maps"}
        )
        metadata = operation_metadata(operation)
        assert metadata is None or metadata.state != v1.OperationMetadata.State.DONE
        response = client.wait_operation(operation, timeout=3600.0)
        batch_size: int = response.output_config.batch_size
        return f"{response.output_config.gcs_destination.uri} {batch_size}"


async def aio(requests: list[v1.AnnotateImageRequest]) -> list[str]:
    names: list[str] = []
    async with AsyncClient(emulator="localhost:8681") as client:
        operation = await client.async_batch_annotate(requests, v1.OutputConfig(batch_size=5))
        async for name, _outcome in client.wait_operations([operation]):
            names.append(name)
    return names


def fields(response: v1.AnnotateImageResponse) -> list[tuple[str, float]]:
    likelihood: v1.Likelihood = response.safe_search_annotation.adult
    assert likelihood is not v1.Likelihood.LIKELY
    vertex: v1.Vertex = response.face_annotations[0].bounding_poly.vertices[0]
    assert isinstance(vertex.x, int)
    return [(entity.description, entity.score) for entity in response.label_annotations]


def other_versions() -> tuple[v1p4beta1.FaceAnnotation, v1p1beta1.AnnotateImageRequest]:
    return v1p4beta1.FaceAnnotation(recognition_result=[]), v1p1beta1.AnnotateImageRequest()
