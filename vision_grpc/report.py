"""A job's results as one HTML page that a person reads: `write_report`. Writes the page, and reads what pictures it is given.

The page is whole in itself: its script, its styles and its thumbnails lie within it, and a content security policy forbids
it to load or send anything. What came from pictures, file names and the service is data throughout: it is written as JSON in which
``<``, ``>`` and ``&`` are escaped, and shown as text, never as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

from vision_grpc._objects.whole_file import whole_file
from vision_grpc._report import data as _report_data
from vision_grpc._report.facts import ResultLike
from vision_grpc._report.thumbnail import Thumbnail, ThumbnailError, thumbnail

__all__ = ["local_picture", "write_report"]

Loader = Callable[[str], bytes | None]

# A report of a few hundred pictures is good to look at, one of many thousands still opens: the first ones are larger.
_LARGE_SIDE, _SMALL_SIDE = 720, 320
_LARGE_UNTIL = 24 * 1024 * 1024
_THREADS = 4
_AHEAD = 3 * _THREADS


def local_picture(uri: str) -> bytes | None:
    """Reads the picture where ``uri`` is the path of a file on this machine; None for URIs with a scheme, as gs://."""
    if "://" in uri:
        return None
    path = Path(uri)
    # A pipe or a device would never end.
    if path.exists() and not path.is_file():
        raise OSError(f"{uri} is not a regular file")
    return path.read_bytes()


def write_report(
    results: Iterable[ResultLike], path: str | os.PathLike[str], *, title: str = "Vision results", picture: Loader = local_picture
) -> None:
    """Writes one self-contained page that shows every result: its picture with the boxes drawn, and what was found.

    The results are taken one after the other, a dozen ahead of what is written, so that memory does not grow with their
    number. The file appears when it is whole; a file that was there is replaced.

    Args:
        results: `ImageResult` objects, or any that have their index, uri, response and error.
        path: the page; its folder is made where it is missing.
        title: the page's heading.
        picture: gives the bytes of a result's picture by its uri, None where there is none; called from four threads at
            once. Where it gives none or raises OSError, where the bytes are no picture and where Pillow (extra ``local``) is
            not installed, the boxes are drawn on an empty frame that says why.

    Raises:
        OSError: the page cannot be written.
    """
    start, end = _frame(title)
    written = 0
    with whole_file(path) as file:
        file.write(start)
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[Future[bytes]] = deque()
            try:
                for result in results:
                    side = _LARGE_SIDE if written < _LARGE_UNTIL else _SMALL_SIDE
                    waiting.append(pool.submit(_entry, result, picture, side))
                    if len(waiting) > _AHEAD:
                        written += file.write(waiting.popleft().result())
                while waiting:
                    file.write(waiting.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)
        file.write(end)


def _entry(result: ResultLike, picture: Loader, side: int) -> bytes:
    """One image's part of the page: its facts, its shapes, and its thumbnail as a data URI."""
    response = result.response
    facts = _report_data.facts(result)
    source = ""
    try:
        small = _thumbnail(result, picture, side)
    except (OSError, ThumbnailError) as error:
        facts["missing"] = getattr(error, "strerror", None) or str(error)
        size = _report_data.size_without_picture(response)
    else:
        size = (small.width, small.height)
        source = "data:image/jpeg;base64," + base64.b64encode(small.jpeg).decode()
    shapes = _report_data.shapes(response, size)
    facts["size"] = size
    facts["drawn"] = {kind: len(outlines) for kind, outlines in shapes.items()}
    return "".join(_blocks(facts, shapes, source)).encode()


def _thumbnail(result: ResultLike, picture: Loader, side: int) -> Thumbnail:
    content = picture(result.uri)
    if content is None:
        raise ThumbnailError("the picture is not at hand")
    return thumbnail(content, side, _report_data.frame(result.response))


def _blocks(facts: dict[str, Any], shapes: _report_data.Shapes, source: str) -> Iterator[str]:
    # Three elements, since a browser keeps text that is all ASCII in one byte a character, and parses only what it is asked to.
    yield f'<script type="application/json" class="facts">{_inert(facts)}</script>'
    yield f'<script type="application/json">{_inert(shapes)}</script>'
    yield f'<script type="text/plain">{source}</script>\n'


def _inert(value: object) -> str:
    """JSON in ASCII that ends no element, opens no comment and starts no character reference."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _frame(title: str) -> tuple[bytes, bytes]:
    """What comes before the images and what comes after them."""
    style, script = _asset("style.css"), _asset("card.js") + _asset("list.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )
    page = _asset("page.html")
    # The title last: it may hold anything, our own marks among it.
    for mark, text in {"POLICY": policy, "STYLE": style, "SCRIPT": script}.items():
        page = page.replace(f"%{mark}%", text)
    start, _, end = page.partition("%IMAGES%")
    # A title may be any str; what UTF-8 cannot hold becomes a question mark.
    return start.replace("%TITLE%", html.escape(title)).encode("utf-8", "replace"), end.encode()


def _asset(name: str) -> str:
    return files("vision_grpc").joinpath("_report", "page", name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
