"""The two transforms: what they take, what they give, and the stages that they are made of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
from apache_beam import typehints
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions, WorkerOptions
from google.protobuf.message import Message

from vision_grpc._results.join import ImageResult
from vision_grpc.aio import AsyncClient
from vision_grpc.beam._grouping import FAILURES, Check, Gather, GatherInTime
from vision_grpc.beam._reading import Read, Unit, destinations, existing
from vision_grpc.beam._settings import Settings, check_objects, making
from vision_grpc.beam._waiting import SendAndDefer, SendAndWait
from vision_grpc.errors import ConfigError, ResultsError
from vision_grpc.objects import open_objects
from vision_grpc.requests import check_destination

if TYPE_CHECKING:
    from vision_grpc import v1
    from vision_grpc.objects import Objects
    from vision_grpc.requests import FeatureLike


_log = logging.getLogger("vision_grpc.beam")

_LONGEST_WAIT = 1_000_000_000
"""Seconds of max_wait. Beam's times end some 292,000 years from 1970, and a timer that lies beyond them fails on its worker."""


class Annotated(NamedTuple):
    """What AnnotateImages gives: every element that went in is in one of them, once.

    Attributes:
        results: The images that were annotated.
        failures: The others, as ImageResults with an error, and with the annotations that were made all the same.
    """

    results: Any
    failures: Any


class AnnotateImages(beam.PTransform):  # type: ignore[misc]
    """Annotates the images of a PCollection by asynchronous requests; gives ImageResults, with the key of each element that had one.

    ::

        results, failures = uris | AnnotateImages(features="text", output="gs://bucket/run-7/")

    Elements are ``gs://`` URIs, v1.AnnotateImageRequests, ImageResults (whose URI is annotated again, so that failures may be
    fed in), or pairs of a key and one of them. `index` of a result is the image's place in its request.

    Elements of a type that is no pair give ImageResults; Tuple[K, ...] gives results of Tuple[K, ImageResult]; where the type
    does not say which they are, both outputs are of type Any. Results are in the window of their element, with the timestamp of
    their request: that of the element which filled it, or the window's end.

    No image is sent twice, whatever bundles the runner runs again: a request's destination is decided by its content, and what
    lies there tells a later attempt what an earlier one did. `output` is therefore the run's identity: a pipeline that is run
    again with another one pays again, and with the same one is given what the service wrote for equal requests before.
    """

    def __init__(
        self,
        features: Iterable[FeatureLike] | FeatureLike | None,
        output: str,
        *,
        client: Callable[[], AsyncClient] = AsyncClient,
        objects: Objects | None = None,
        request_size: int = 2000,
        max_wait: float | None = None,
        shards: int = 1,
        batch_size: int = 20,
        requests_per_minute: int = 1800,
        workers: int | None = None,
        defer: bool | None = None,
        resubmit_unknown: bool = False,
        grace: float = 120.0,
        patience: float = 3600.0,
        submit_timeout: float = 60.0,
        image_context: v1.ImageContext | Mapping[str, Any] | None = None,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the settings; nothing is opened or sent before the pipeline runs.

        Args:
            features: As for `image_requests`; for URIs, and for requests that name none. None where every request names its own.
            output: ``gs://bucket/prefix``, below which every request writes to a prefix of its own.
            client: Makes the AsyncClient of each worker process; it is pickled, as a class or functools.partial is.
            objects: Where the output lies, by default Google Cloud Storage; pickled too.
            request_size: Images of one request, 1 to 2,000.
            max_wait: Seconds that an image of an unbounded input waits at most for others to fill its request; None for as long
                as its window lasts. An input that is bounded fills requests as it is read, and needs no such limit.
            shards: Requests that are filled at the same time. One is enough for the service's quota.
            batch_size: Results of one output object, 1 to 100: what one worker reads at a time.
            requests_per_minute: Requests sent in any 60 seconds by all workers together.
            workers: The processes that this quota is split over; None takes what the pipeline's options say. Where there are
                more, the service refuses what is too much, and the workers slow down.
            defer: Whether a batch that waits for its operation is handed back to the runner between two looks, which holds no
                thread of a worker (a splittable DoFn that puts itself off). Otherwise one thread waits for all batches of a
                bundle together, which every runner can do. None for True on DataflowRunner alone: see docs/scale-out.md.
            resubmit_unknown, grace, submit_timeout, image_context, parent, labels: As for `AnnotationJob`. Without
                `resubmit_unknown`, the images of a request that was proved not to have been accepted are failures with UNKNOWN.
                `grace` counts from when no attempt can be sending any more: `submit_timeout` seconds after the last one's claim.
            patience: Seconds for which the service may refuse every request before the pipeline fails with that error, and
                for which a request in doubt is looked for where every look fails or the server lists no operations; then those of
                its images of which no result was written are failures with UNKNOWN.

        Raises:
            ConfigError: A setting is wrong.
        """
        super().__init__()
        for name, value, least in (("shards", shards, 1), ("workers", workers, 1)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ConfigError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if max_wait is not None and (
            isinstance(max_wait, bool) or not isinstance(max_wait, int | float) or not 0 < max_wait <= _LONGEST_WAIT
        ):
            raise ConfigError(f"max_wait must be a number of seconds above 0, up to {_LONGEST_WAIT:,}, or None, not {max_wait!r}")
        if defer not in (None, True, False):
            raise ConfigError(f"defer must be True, False or None, not {defer!r}")
        if resubmit_unknown not in (True, False):
            raise ConfigError(f"resubmit_unknown must be True or False, not {resubmit_unknown!r}")
        _check_output(output)
        self._settings: dict[str, Any] = {
            "making": making(features, image_context, batch_size, parent, labels),
            "output": output if output.endswith("/") else output + "/",
            "client": client,
            "objects": objects,
            "request_size": request_size,
            "requests_per_minute": requests_per_minute,
            "resubmit_unknown": resubmit_unknown,
            "grace": grace,
            "patience": patience,
            "submit_timeout": submit_timeout,
        }
        Settings(**self._settings, workers=1)
        self._shards = shards
        self._max_wait = max_wait
        self._workers = workers
        self._defer = defer

    def expand(self, images: Any) -> Annotated:
        settings = Settings(**self._settings, workers=self._workers or _processes(images.pipeline.options))
        defer = _can_defer(images.pipeline) if self._defer is None else self._defer
        send = SendAndDefer(settings) if defer else SendAndWait(settings)
        # A bounded input fills requests as fast as it is read, and some runners lose what a timer of processing time brings after it.
        bounded = self._max_wait is None or images.is_bounded
        gather = Gather(settings) if bounded else GatherInTime(settings, self._max_wait or 0.0)
        kind = _like(images.element_type)
        pairs = None if kind is typehints.Any else kind is not ImageResult
        checked = images | "Check" >> beam.ParDo(Check(settings, self._shards, pairs)).with_outputs(FAILURES, main="checked")
        checked.checked.element_type = typehints.Tuple[int, Any]
        read = (
            checked.checked
            | "Gather" >> beam.ParDo(gather).with_output_types(Any)
            # A batch is what it is from here on, however often what follows is run again.
            | "Fix" >> beam.Reshuffle()
            | "Send" >> beam.ParDo(send).with_output_types(Unit)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(Read(settings.objects, apart=True)).with_outputs(FAILURES, main="results")
        )
        read.results.element_type = kind
        # Among the failures is what came without the key, or with one, that the type of the elements promised it would have.
        failed = kind if kind is ImageResult else typehints.Any
        for output in (checked[FAILURES], read[FAILURES]):
            output.element_type = failed
        failures = (checked[FAILURES], read[FAILURES]) | "Failures" >> beam.Flatten()
        failures.element_type = failed
        return Annotated(read.results, failures)


class ReadResults(beam.PTransform):  # type: ignore[misc]
    """Reads the output objects that operations wrote below some prefixes, in parallel; gives an ImageResult for every image.

    ::

        results = pipeline | ReadResults("gs://bucket/run-7/")
        results = prefixes | ReadResults()

    Objects are found at any depth, and each is decoded on whichever worker is free. An image that failed is a result with an
    error. URIs are what the service wrote of them; that results are missing behind the last object cannot be noticed.

    A prefix is a folder, with or without its final slash, or exactly the prefix that an operation was given: ``gs://bucket/run-7``
    does not mean ``gs://bucket/run-70/``.
    """

    def __init__(self, output: str | None = None, *, objects: Objects | None = None, version: str = "v1") -> None:
        """Checks the settings; nothing is opened before the pipeline runs.

        Args:
            output: ``gs://bucket/prefix``; None where the prefixes are the elements of a PCollection.
            objects: Where the outputs lie, by default Google Cloud Storage; pickled.
            version: "v1" or "v1p4beta1": whose messages are made.

        Raises:
            ConfigError: A setting is wrong; while the pipeline runs, an element is no prefix.
            ResultsError: While the pipeline runs: an object is missing between others, overlaps another, is damaged, or cannot be
                read; or none lies below `output`. An element below which none lies is a warning in the log.
            OSError: While the pipeline runs: what lies below a prefix cannot be listed.
        """
        super().__init__()
        if output is not None:
            _check_output(output)
        check_objects(objects)
        if version not in ("v1", "v1p4beta1"):
            raise ConfigError(f"version must be 'v1' or 'v1p4beta1', not {version!r}")
        self._output = output
        self._objects = objects
        self._version = version

    def expand(self, outputs: Any) -> Any:
        objects, version = self._objects, self._version
        if isinstance(outputs, beam.pvalue.PBegin):
            if self._output is None:
                raise ConfigError("output is missing: name a prefix as gs://bucket/folder/, or apply ReadResults to a PCollection of them")
            outputs = outputs | "Output" >> beam.Create([self._output])
        elif self._output is not None:
            raise ConfigError("ReadResults was given an output and a PCollection of outputs: leave one of them out")

        named = self._output is not None

        def find(output: str) -> Iterable[str]:
            _check_output(output)
            found = destinations(objects or open_objects(output)[0], output)
            if not found and named:
                raise ResultsError(f"Nothing was written below {output}: no output object lies there.", uri=output)
            if not found:
                _log.warning("nothing was written below %s: no output object lies there", output)
            return found

        def list_shards(destination: str) -> Iterable[Unit]:
            return existing(objects or open_objects(destination)[0], destination, version)

        return (
            outputs
            | "Find" >> beam.FlatMap(find).with_output_types(str)
            | "SpreadDestinations" >> beam.Reshuffle()
            | "List" >> beam.FlatMap(list_shards).with_output_types(Unit)
            | "SpreadShards" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(Read(objects, apart=False)).with_output_types(ImageResult)
        )


def _check_output(output: object) -> None:
    if not isinstance(output, str):
        raise ConfigError(f"output must be a Cloud Storage prefix as gs://bucket/folder/, not {output!r}")
    check_destination(output, "output")


def _like(element: Any) -> Any:
    """The type of what comes of elements of a type: keyed where they are, and Any where the type does not say."""
    parts: tuple[Any, ...] = getattr(element, "tuple_types", ())
    if len(parts) == 2:
        return typehints.Tuple[parts[0], ImageResult]
    alone = isinstance(element, type) and issubclass(element, str | Message | ImageResult)
    return ImageResult if alone else typehints.Any


def _processes(options: PipelineOptions) -> int:
    direct, workers = options.view_as(DirectOptions), options.view_as(WorkerOptions)
    if direct.direct_running_mode == "multi_processing":
        return max(1, direct.direct_num_workers or 1)
    return max(1, workers.max_num_workers or workers.num_workers or 1)


def _can_defer(pipeline: beam.Pipeline) -> bool:
    # Of the others, some lose or refuse what is put off, and some resume it at once (docs/scale-out.md).
    return "DataflowRunner" in f"{type(pipeline.runner).__name__} {pipeline.options.view_as(StandardOptions).runner}"
