"""The ASGI application: one HTTP request, one call at the front door, one HTTP reply."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

import grpc
from google.protobuf import message_factory
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from vision_grpc.emulator.door import Door
from vision_grpc.emulator.refusal import Refused, shown
from vision_grpc.emulator.rest import fields, replies, requests
from vision_grpc.emulator.rest.caller import HttpCaller
from vision_grpc.emulator.rest.discovery import document
from vision_grpc.emulator.rest.failure import Failure
from vision_grpc.emulator.rest.parameters import Parameters
from vision_grpc.emulator.rest.rules import Binding, find
from vision_grpc.emulator.rest.tokens import metadata

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

# A reply that comes while a client still sends is lost on many of them: so much of a body that is too large is read on.
_READ_ON = 64 * 2**20
_FORM = "application/x-www-form-urlencoded"
_ORIGIN = re.compile(rb"^https?://[^/]*", re.IGNORECASE)
_NO_GZIP = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.IGNORECASE)


def application(door: Door, bound: Sequence[Binding], closing: asyncio.Event) -> Starlette:
    """Returns the application.

    Args:
        door: what answers calls.
        bound: which requests are calls.
        closing: once set, every request that is still open is answered UNAVAILABLE.
    """
    starlette = Starlette(
        routes=[Route("/", metadata), Route("/computeMetadata/v1/{path:path}", metadata)],
        middleware=[Middleware(_OriginForm), Middleware(_Gzip, minimum_size=1024, compresslevel=1)],
    )
    # Also what is no path, as the * of OPTIONS, gets the API's refusal and not Starlette's.
    starlette.router.default = _Api(door, bound, closing)
    starlette.router.redirect_slashes = False
    return starlette


class _OriginForm:
    """Requests to a proxy name the whole URL; a server must understand them too (RFC 9112, section 3.2.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = _ORIGIN.sub(b"", scope["raw_path"])
            if raw != scope["raw_path"]:
                scope = {**scope, "raw_path": raw or b"/", "path": unquote((raw or b"/").decode("ascii"))}
        await self._app(scope, receive, send)


class _Gzip(GZipMiddleware):
    """Starlette's, which takes ``gzip;q=0``, a refusal of it, for a wish."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and _NO_GZIP.search(Headers(scope=scope).get("accept-encoding", ""))
        await (self.app if refused else super().__call__)(scope, receive, send)


class _Api:
    def __init__(self, door: Door, bound: Sequence[Binding], closing: asyncio.Event) -> None:
        self._door = door
        self._bound = bound
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        parameters = Parameters()
        try:
            response = await self._answer(request, parameters)
        except ClientDisconnect:
            return
        except Refused as refused:
            response = replies.failure(Failure(refused.code, refused.message), parameters)
        except Failure as failure:
            response = replies.failure(failure, parameters)
        except Exception:
            logger.exception("The request for %s failed.", shown(request.url.path))
            message = "The embedded server failed on this call; its log says why."
            response = replies.failure(Failure(grpc.StatusCode.INTERNAL, message), parameters)
        await response(scope, receive, send)

    async def _answer(self, request: Request, parameters: Parameters) -> Response:
        body = requests.unpacked(await self._unless_closing(_body(request)), request.headers.get("content-encoding", "").lower())
        verb, query = request.method, request.scope["query_string"].decode("latin-1")
        kind = request.headers.get("content-type", "")
        if verb == "POST" and (instead := request.headers.get("x-http-method-override", "").upper()):
            # How google-api-python-client sends a GET whose query would be too long for a URL.
            verb, query = instead, body.decode("latin-1") if kind.startswith(_FORM) else query
        rest = parameters.take(parse_qsl(query, keep_blank_values=True))
        path = request.scope["raw_path"].decode("latin-1")
        if verb in ("GET", "HEAD") and request.scope["path"] == "/$discovery/rest":
            return self._discovery(request, dict(rest))
        found = find(self._bound, verb, path)
        if found is None:
            # Ours: the service answers with a page of HTML.
            raise Failure(grpc.StatusCode.NOT_FOUND, f"Method not found: {verb} {shown(path)}.")
        return await self._call(request, parameters, *found, rest, body, kind)

    async def _call(
        self,
        request: Request,
        parameters: Parameters,
        binding: Binding,
        values: dict[str, str],
        query: list[tuple[str, str]],
        body: bytes,
        kind: str,
    ) -> Response:
        reply_type = binding.descriptor.output_type
        tree = fields.selection(parameters.fields or request.headers.get("x-goog-fieldmask", ""), reply_type)
        # JSON of megabytes is long work in Python; other calls go on beside it.
        message = await asyncio.to_thread(requests.message, binding, values, query, body, kind)
        caller = HttpCaller(request, parameters.metadata)
        call = self._door.answer(binding.method.path)(message.SerializeToString(), caller)
        raw = await self._unless_closing(call, until=_gone(request))
        reply = message_factory.GetMessageClass(reply_type).FromString(raw)
        return await asyncio.to_thread(replies.success, reply, tree, parameters)

    def _discovery(self, request: Request, query: dict[str, str]) -> Response:
        version = query.get("version", "v1")
        found = document(self._bound, version, f"{request.url.scheme}://{request.url.netloc}/")
        if found is None:
            raise Failure(grpc.StatusCode.NOT_FOUND, f"The server has no version {shown(version)}.")
        return JSONResponse(found)

    async def _unless_closing(self, work: Awaitable[_T], until: Awaitable[None] | None = None) -> _T:
        """Returns what the work returns. Raises Failure when the server closes, ClientDisconnect when ``until`` comes first."""
        task = asyncio.ensure_future(work)
        ends = [asyncio.ensure_future(self._closing.wait()), *([asyncio.ensure_future(until)] if until is not None else [])]
        try:
            await asyncio.wait([task, *ends], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self._closing.is_set():
                raise Failure(grpc.StatusCode.UNAVAILABLE, "The server is shutting down.")
            raise ClientDisconnect
        finally:
            for each in (task, *ends):
                each.cancel()
            await asyncio.gather(task, *ends, return_exceptions=True)


async def _body(request: Request) -> bytes:
    """The body as it was sent. Raises Failure where it is larger than any that is taken."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= requests.MAX_BODY:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > _READ_ON:
            break
    if size > requests.MAX_BODY:
        raise requests.too_large()
    return b"".join(chunks)


async def _gone(request: Request) -> None:
    """Returns once the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
