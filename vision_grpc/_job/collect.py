"""The results of one request: read, given their place in the job, and sorted into final ones and those to be tried again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from vision_grpc._ledger.rows import Failure, Row
from vision_grpc._results.join import ImageResult
from vision_grpc.errors import TRANSIENT, ImageError, ResultsError

if TYPE_CHECKING:
    from vision_grpc._job.service import Service
    from vision_grpc._ledger.part import Part

Slice = list[ImageResult]


@dataclass(slots=True)
class Harvest:
    """What one request brought, as it is read.

    Attributes:
        row, part: The request and its images.
        attempts: How often an image is sent at most.
        child: The indices in the job of the images that another request sends again already, whatever `attempts` says now; None
            where there is no such request.
        ok: Images annotated so far.
        failures: The others, also those that are sent again.
        again: Offsets within the request of the images to be sent again.
    """

    row: Row
    part: Part
    attempts: int
    child: frozenset[int] | None = None
    ok: int = 0
    failures: list[Failure] = field(default_factory=list)
    again: list[int] = field(default_factory=list)

    def repeats(self, result: ImageResult) -> bool:
        """Whether the image is to be sent again, or is already."""
        if self.child is not None:
            return result.index in self.child
        return result.error is not None and result.error.code in TRANSIENT and self.row.attempt < self.attempts

    def take(self, result: ImageResult, offset: int) -> bool:
        """Counts one result; False where it is not final."""
        if result.error is None:
            self.ok += 1
            return True
        repeated = self.repeats(result)
        error = result.error
        self.failures.append(
            Failure(result.index, self.row.number, self.row.attempt, _number(error.code), _stem(error.message, result.uri), repeated)
        )
        if repeated:
            self.again.append(offset)
        return not repeated


async def outcomes(service: Service, row: Row, part: Part, prefix: str) -> AsyncGenerator[tuple[int, Slice], None]:
    """A result for every image of an ended request, in slices, each with the offset of its first within the request.

    Of a request that failed as a whole, what it wrote all the same is there, and every image that it wrote no object for has the
    request's error. That an object cannot be read now is no failure of its images, which would be sent, and paid, again for it.

    Raises:
        ResultsError: Some of what was written cannot be read, or something is missing though the operation ended well; at the end,
            after what can be read.
    """
    uris, indices = part.uris(), part.indices()
    # What must be there: everything, or of a request that failed what the names of its objects say.
    there = await service.shards(prefix) if row.code is not None else [(1, len(uris))]
    due, lost = 0, False
    problem: ResultsError | None = None
    try:
        if there:
            async for results in service.results(prefix, uris):
                for start, run in _runs(results):
                    lost = lost or _meets(there, due, start)
                    if start > due and not lost:
                        yield due, _failed(service, row, uris, indices, range(due, start))
                    due = start + len(run)
                    yield start, _placed(run, indices)
    except ResultsError as error:
        problem = error
    if lost or _meets(there, due, len(uris)):
        raise problem or ResultsError(f"some of the results under {prefix} cannot be read", uri=prefix)
    if due < len(uris):
        yield due, _failed(service, row, uris, indices, range(due, len(uris)))


def _meets(shards: Sequence[tuple[int, int]], start: int, stop: int) -> bool:
    """Whether one of the objects, of these first and last results, holds any of these offsets."""
    return any(first <= stop and last > start for first, last in shards) and start < stop


def _runs(results: Sequence[ImageResult]) -> list[tuple[int, Sequence[ImageResult]]]:
    """Cuts a slice where its indices leave a gap; nearly always it stays whole."""
    if results[-1].index - results[0].index == len(results) - 1:
        return [(results[0].index, results)]
    cuts = [place for place in range(1, len(results)) if results[place].index != results[place - 1].index + 1]
    return [(results[a].index, results[a:b]) for a, b in zip([0, *cuts], [*cuts, len(results)], strict=True)]


def _placed(results: Sequence[ImageResult], indices: Sequence[int]) -> Slice:
    if indices[results[0].index] == results[0].index and isinstance(indices, range):
        return list(results)
    placed = []
    for result in results:
        index, error = indices[result.index], result.error
        if error is not None:
            error = ImageError(error.code, error.message, index=index, uri=result.uri, details=error.details)
        placed.append(ImageResult(index, result.uri, result.response, error))
    return placed


def _failed(service: Service, row: Row, uris: Sequence[str], indices: Sequence[int], offsets: range) -> Slice:
    response_class = service.door.AnnotateImageResponse
    message = row.error or "the service gave no words"
    return [
        ImageResult(
            indices[offset], uris[offset], response_class(), ImageError(row.code or 2, message, index=indices[offset], uri=uris[offset])
        )
        for offset in offsets
    ]


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number


def _stem(message: str, uri: str) -> str:
    # The URI is the one part of the words that differs from image to image, and the ledger has it already.
    return message.replace(uri, "…") if uri else message
