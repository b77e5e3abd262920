"""Responses joined to the inputs they belong to, and every doubt about that put into words. No I/O here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vision_grpc.errors import ImageError, ResultsError, status_details

if TYPE_CHECKING:
    from vision_grpc import v1
    from vision_grpc._results.shards import Shard


@dataclass(frozen=True)
class ImageResult:
    """What became of one image.

    Attributes:
        index: The image's place in the request, from 0.
        uri: The image's URI.
        response: Every annotation that was made; they are correct even beside an error.
        error: Why some or all annotations are missing; None where the image was annotated.
    """

    index: int
    uri: str
    response: v1.AnnotateImageResponse
    error: ImageError | None = None

    @property
    def ok(self) -> bool:
        """True where the image was annotated without an error."""
        return self.error is None

    def raise_for_error(self) -> ImageResult:
        """Raises the image's error, or returns the result itself."""
        if self.error is not None:
            raise self.error
        return self


def join(
    loaded: Iterable[tuple[Shard, list[bytes] | ResultsError]],
    parse: Callable[[bytes], Any],
    uris: Sequence[str] | None,
    destination: str,
    report: Callable[[ResultsError], None],
) -> Iterator[ImageResult]:
    """Yields a result for every response, in the order of the request.

    Args:
        loaded: The shards by number, each with the bytes of its responses or with what is wrong with it.
        parse: Makes an AnnotateImageResponse of its bytes.
        uris: The URIs of the request, in order; None where they are not known.
        destination: The prefix of the shards.
        report: Is told what is wrong; raises it, or lets what is whole go on.
    """
    due = 0  # the index of the next result: none before it is yielded any more
    told = end = 0  # up to where it was said what is missing, and where the names say that the results end
    before = destination
    for shard, found in loaded:
        start, stop = shard.first - 1, shard.last
        if stop <= start:
            report(ResultsError(f"{shard.uri} does not belong here: by its name it ends before it begins.", uri=shard.uri))
            continue
        if uris is not None and stop > len(uris):
            report(ResultsError(f"{shard.uri} does not belong here: the request has {len(uris)} images.", uri=shard.uri))
            continue
        if start > max(due, told):
            words = f"The results {max(due, told) + 1} to {start} are missing between {before} and {shard.uri}."
            report(ResultsError(words, uri=before))
        if isinstance(found, ResultsError):
            report(found)
            told, before = max(told, stop), shard.uri
            continue
        if overlaps := start < due:
            report(ResultsError(f"{shard.uri} overlaps {before}: one of them belongs to another request.", uri=shard.uri))
            # The request alone can tell whether what lies beyond the overlap is its own.
            if uris is None or stop <= due:
                continue
        responses = [parse(wire) for wire in found]
        indexes = _indexes(responses, range(start, stop), uris)
        if indexes is None:
            if not overlaps:
                report(ResultsError(f"{shard.uri} holds other images than the request, or more than its name says.", uri=shard.uri))
                told, before = max(told, stop), shard.uri
            continue
        # A shard whose JSON grew too large holds fewer results than its name says [?]; the next one may go on where it stops.
        last = indexes[-1] + 1 if indexes else start
        if last - start > len(indexes):
            report(ResultsError(f"{shard.uri} lacks {last - start - len(indexes)} of its images.", uri=shard.uri))
        for index, response in zip(indexes, responses, strict=True):
            # What overlaps is taken only where the object itself names the image.
            if index >= due and (not overlaps or response.context.uri):
                yield _result(index, response, response.context.uri if uris is None else uris[index])
                due = index + 1
        before, end = shard.uri, stop
    if before == destination:
        if uris is None or uris:
            report(ResultsError(f"There are no output objects of this operation under {destination}.", uri=destination))
    elif max(due, told) < (end if uris is None else len(uris)):
        report(ResultsError(f"The results after {max(due, told)} are missing: the last object is {before}.", uri=before))


def _indexes(responses: Sequence[Any], named: range, uris: Sequence[str] | None) -> Sequence[int] | None:
    """Returns the index of every response within the shard's own; None where they cannot be its own."""
    if len(responses) > named.stop - named.start:  # len() has no numbers beyond 64 bits, and a name may hold any
        return None
    if uris is None:
        return named[: len(responses)]
    indexes = []
    free = iter(named)
    for response in responses:
        uri = response.context.uri
        # Every response names its image; one that does not can only be the next.
        index = next((index for index in free if not uri or uris[index] == uri), None)
        if index is None:
            return None
        indexes.append(index)
    return indexes


def _result(index: int, response: Any, uri: str) -> ImageResult:
    status = response.error
    if not (status.code or status.message):
        return ImageResult(index, uri, response)
    error = ImageError(status.code, status.message, index=index, uri=uri, details=status_details(status))
    return ImageResult(index, uri, response, error)
