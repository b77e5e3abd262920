"""The same job on Apache Beam: images annotated, and results read, by as many machines as a runner has.

::

    import apache_beam as beam
    from vision_grpc.beam import AnnotateImages

    with beam.Pipeline(options=options) as pipeline:
        results, failures = (
            pipeline
            | beam.io.ReadFromText("gs://bucket/uris.txt")
            | AnnotateImages(features="text", output="gs://bucket/run-7/")
        )

Metrics are in the namespace ``vision_grpc``. See docs/scale-out.md. Needs the extra ``beam``.
"""

try:
    import apache_beam as _beam  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"vision_grpc.beam needs Apache Beam ({error}): pip install 'vision-grpc[beam]'", name="apache_beam"
    ) from error

from vision_grpc.beam._coder import ImageResultCoder
from vision_grpc.beam._transforms import Annotated, AnnotateImages, ReadResults

__all__ = ["AnnotateImages", "Annotated", "ImageResultCoder", "ReadResults"]
