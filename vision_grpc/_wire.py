"""Many images checked and built at once, on their bytes: what a loop over messages would do a hundred times slower. No I/O here.

Nothing is refused here. What is not seen to be good at a glance is left to the checks of `requests`, which look at each image
and say what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from vision_grpc import v1

# The longest URI that this allows is shorter than Cloud Storage's limit on names, and it is plain ASCII without a "#".
_URI = r"""gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/[ -"$-~]{1,700}+"""
_LENGTH = rb"(?:[\x01-\x7f]|[\x80-\xff][\x00-\x7f])"
_IMAGE = rb"\x0a%s\x0a%s\x12%s\x12%s%s" % (_LENGTH, _LENGTH, _LENGTH, _LENGTH, _URI.encode())
"""A request up to the end of its image: tag and length of request, image, source and image_uri, and the URI."""
_FEATURES = rb"(?:\x12[\x02-\x05]\x08[\x01-\x07\x09-\x0c\x13](?:\x10%s)?+)++" % _LENGTH
"""Features with a type that exists, and perhaps max_results; negative ones would be longer."""
# The longest that this allows leaves room for the names of output objects. No "#": a destination that ends in digits after one
# would name a generation.
_OUTPUT = rb"""\x12%s\x0a%s\x0a%sgs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/[ -"$-~]{0,990}+(?:\x10[\x01-\x64])?+""" % ((_LENGTH,) * 3)
"""An output_config with a destination and perhaps a batch_size of 1 to 100."""
_FEW = 8
"""Below this many images a loop is as fast."""


def all_plain(uris: Sequence[Any]) -> bool:
    """Whether all are strings that plainly name objects; False says only that somebody should look closer."""
    try:
        lines = "\n".join(uris) + "\n"
    except TypeError:
        return False
    return lines.count("\n") == len(uris) and _lines().match(lines) is not None


def image_requests_of(uris: Sequence[str], shared: bytes) -> list[v1.AnnotateImageRequest]:
    """One request for each URI: its image, then `shared`, the serialised fields that all of them have."""
    encoded = [uri.encode() for uri in uris]
    heads = {size: _head(size, len(shared)) for size in set(map(len, encoded))}
    wire = b"".join([part for uri in encoded for part in (heads[len(uri)], uri, shared)])
    return list(v1.AsyncBatchAnnotateImagesRequest.FromString(wire).requests)


def _head(size: int, shared: int) -> bytes:
    """The bytes before a URI of this size in a batch: the tags and lengths of request, image, source and image_uri."""
    uri = b"\x12" + _varint(size)
    source = b"\x12" + _varint(len(uri) + size) + uri
    image = b"\x0a" + _varint(len(source) + size) + source
    return b"\x0a" + _varint(len(image) + size + shared) + image


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def all_good(request: Any) -> bool:
    """Whether a batch is of the usual shape and nothing in it can be refused: images by plain URIs with features by type, and a
    plain destination, without parent and labels. False says only that somebody should look closer.
    """
    wire = request.SerializeToString()
    match = _usual().match(wire)
    if match is None:
        return False
    # The pattern does not add up lengths. What looks like the output_config must be it, with its tag and its own length, and without
    # a parent or labels, which would follow it; and no URI may look like two images, as one with control characters could.
    header = len(wire) - match.start("output") - request.output_config.ByteSize()
    return header in (2, 3) and wire.count(b"gs://") == len(request.requests) + 1


def all_alike(request: Any) -> bool:
    """Whether all images of a batch are as good as its first: but for their URIs the same, and these plain.

    False says only that somebody should look closer.
    """
    count = len(request.requests)
    if count < _FEW:
        return False
    first = type(request.requests[0])()
    first.CopyFrom(request.requests[0])
    uri = first.image.source.image_uri
    first.ClearField("image")
    others = type(request)(output_config=request.output_config)
    if "parent" in request.DESCRIPTOR.fields_by_name:
        others.parent = request.parent
        others.labels.update(request.labels)
    wire = request.SerializeToString()
    images = wire[: len(wire) - others.ByteSize()]
    shared = first.SerializeToString()
    if _of_one_bucket(images, count, uri, shared):
        return True
    return _batch(shared).fullmatch(images) is not None and images.count(b"gs://") == count


def _of_one_bucket(images: bytes, count: int, uri: str, shared: bytes) -> bool:
    """As `all_alike`, in about half its time, for images of the first one's bucket and URIs of less than 128 bytes.

    The pattern takes for a URI whatever stands before the next \x12, which is quick to find. That it is one, and that nothing else is
    taken for the bytes between two images, follows from counts: all \n and \x12 are tags then, and a # after one is a length. One
    thing passes that a closer look would refuse, and that the service refuses: an image without features whose URI ends in their bytes.
    """
    bucket = _bucket_uri().match(uri)
    if bucket is None or not shared.startswith(b"\x12") or b"#" in shared or not images.isascii() or b"\r" in images:
        return False
    return (
        images.count(b"\n") == count * (2 + shared.count(b"\n"))
        and images.count(b"\x12") == count * (2 + shared.count(b"\x12"))
        and _hash().search(images) is None
        and _bucket(bucket[0], shared).fullmatch(images) is not None
    )


# Compiled when first used: each takes a millisecond, which an import should not.
@cache
def _lines() -> re.Pattern[str]:
    """Plain URIs, each with a newline after it."""
    return re.compile(rf"(?:{_URI}\n)*+\Z")


@cache
def _usual() -> re.Pattern[bytes]:
    """Whole batches: images by plain URIs with features by type, and a plain destination."""
    return re.compile(rb"(?:%s%s)*+(?P<output>%s)\Z" % (_IMAGE, _FEATURES, _OUTPUT))


@cache
def _bucket_uri() -> re.Pattern[str]:
    """A URI as far as its bucket."""
    return re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/")


@cache
def _hash() -> re.Pattern[bytes]:
    """A # that is not the length after a tag. To look for its own byte first is what makes the search quick."""
    return re.compile(rb"#(?<![\n\x12]#)")


@lru_cache(maxsize=64)
def _batch(shared: bytes) -> re.Pattern[bytes]:
    """Batches of images that have these bytes after their URI."""
    return re.compile(rb"(?:%s%s)*+" % (_IMAGE, re.escape(shared)))


@lru_cache(maxsize=64)
def _bucket(prefix: str, shared: bytes) -> re.Pattern[bytes]:
    """Batches of images of one bucket, by URIs without \\x12, that have these bytes after their URI."""
    image = rb"\x0a.\x0a.\x12.\x12.%s[^\x12]++" % re.escape(prefix.encode())
    return re.compile(rb"(?:%s%s)*+" % (image, re.escape(shared)), re.DOTALL)
