"""The embedded server as an object: one thread with an event loop of its own, where grpc.aio serves on loopback."""

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from vision_grpc import v1
from vision_grpc.emulator.address import check_address, is_loopback, written
from vision_grpc.emulator.arguments import check_kind, check_methods, check_number, directories, path
from vision_grpc.emulator.calls import CallLog, RecordedCall
from vision_grpc.emulator.clock import Clock, SystemClock
from vision_grpc.emulator.door import Door
from vision_grpc.emulator.extras import add_extras
from vision_grpc.emulator.faults import Fault, Faults
from vision_grpc.emulator.images import Annotator, Images, ObjectReader
from vision_grpc.emulator.journal import Journal
from vision_grpc.emulator.longrunning import Operations
from vision_grpc.emulator.operations import Store
from vision_grpc.emulator.processing import Processing
from vision_grpc.emulator.service import ImageAnnotator
from vision_grpc.emulator.tls import Tls
from vision_grpc.objects import LocalObjects, Objects

if TYPE_CHECKING:
    from vision_grpc.emulator.rest.server import RestServer

logger = logging.getLogger(__name__)

# Ours: a synchronous image at its limit of 20 MB fits. Published is only that a JSON request has at most 10 MB.
MAX_MESSAGE_BYTES = 21 * 2**20
MAX_METADATA_BYTES = 64 * 2**10
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    # Ours. By default gRPC refuses more and more calls at random between 8 and 16 kB, which the long name of an operation reaches.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # By default two servers may share a port, and each would get some of the calls.
    ("grpc.so_reuseport", 0),
    # Clients that wait for hours keep their connections alive; the default would send them away for it.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
)


class Emulator:
    """Google Cloud Vision's asynchronous image annotation on this machine, for development and tests.

    Use it as a context manager, sync or async, or by start() and stop()::

        with Emulator(buckets={"photos": "photos/", "out": "out/"}) as server:
            client = Client(emulator=server.target)

    Args:
        buckets: the directory that serves each gs:// bucket; it exists already.
        objects: instead of buckets, any vision_grpc.objects.Objects.
        host: the address to listen on. Whoever reaches it may use the server: it checks no credentials.
        port: 0 takes a free one.
        rest_port: a second port, for REST/JSON on the same operations; 0 takes a free one, None serves gRPC alone. Needs
            ``pip install 'vision-grpc[rest]'``.
        annotator: (content, serialised v1.AnnotateImageRequest) -> serialised v1.AnnotateImageResponse, called in threads;
            None for the real ones, which need ``pip install 'vision-grpc[local]'``.
        tls: None serves plain text; True a certificate made on the spot; Tls what it says.
        state: a file that keeps the operations over a restart; unfinished ones then run again.
        clock: SystemClock, or a VirtualClock that a test moves.
        faults: what goes wrong; more can be armed while the server runs.
        workers: images annotated at the same time; None for one a core.
        max_images_processing: the service's quota of images in processing; operations beyond it queue.
        operation_seconds: how long each operation runs at least, by the server's clock, before its images are annotated.
        record: how many calls are kept in ``calls``; True for the last 10,000, False for none.

    Raises:
        ValueError: an argument is wrong.
        OSError: host is no address of this machine.
        ImportError: a package of the extra ``local``, or ``rest``, is missing.
    """

    def __init__(
        self,
        *,
        buckets: Mapping[str, str | Path] | None = None,
        objects: ObjectReader | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        rest_port: int | None = None,
        annotator: Annotator | None = None,
        tls: Tls | bool | None = None,
        state: str | Path | None = None,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        workers: int | None = None,
        max_images_processing: int = 8_000,
        operation_seconds: float = 0.0,
        record: bool | int = True,
    ) -> None:
        if (buckets is None) == (objects is None):
            raise ValueError("Give either buckets, a mapping of names to directories, or objects.")
        if objects is not None:
            check_methods("objects", objects, ("read", "size", "write"), "what vision_grpc.objects offers, as LocalObjects({...})")
        check_kind("host", host, str, "an address of this machine, as '127.0.0.1'")
        for name, number, least, most in (
            ("port", port, 0, 65_535),
            ("rest_port", rest_port, 0, 65_535),
            ("workers", workers, 1, math.inf),
        ):
            if number is not None or name == "port":
                check_number(name, number, least, most)
        check_number("max_images_processing", max_images_processing, 1)
        check_number("operation_seconds", operation_seconds, 0, 1e9, whole=False)
        check_number("record", record, 0)
        if annotator is not None and not callable(annotator):
            raise ValueError(f"annotator is {annotator!r}; give a function of the content and the serialised request.")
        if tls is not None:
            check_kind("tls", tls, bool | Tls, "True, or a Tls as of Tls.from_files(chain, key)")
        if clock is not None:
            check_methods("clock", clock, ("time", "sleep"), "SystemClock() or VirtualClock()")
        self.faults = Faults(faults)
        self.clock = clock or SystemClock()
        self._objects = objects if objects is not None else LocalObjects(directories(buckets))
        self._state = path("state", state) if state is not None else None
        check_address(host, 0)
        self._host = host
        self._port = port
        self._rest_port = rest_port
        self._rest_server = _rest_server() if rest_port is not None else None
        self._annotator = annotator or _annotators()
        self._tls = Tls.self_signed([host]) if tls is True else (tls or None)
        self._workers = workers or _cores()
        self._limit = max_images_processing
        self._seconds = operation_seconds
        self._calls = CallLog(10_000 if record is True else int(record))
        self._thread: threading.Thread | None = None
        # Settled by whoever wants the server to end, whatever its thread has come to.
        self._end: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._grace: float | None = None
        self._bound = 0
        self._rest_url = ""
        self._root_file: Path | None = None
        if self._tls is None and not is_loopback(host):
            logger.warning("%s is not a loopback address: anyone who reaches it can use this server, which checks no credentials.", host)

    @property
    def target(self) -> str:
        """Where the server listens, "127.0.0.1:43210". Raises RuntimeError before it is started."""
        if not self._bound:
            raise RuntimeError("The server has no address before start().")
        return written(self._host, self._bound)

    @property
    def rest_url(self) -> str:
        """Where REST is served, "http://127.0.0.1:43211". Raises RuntimeError before the start, and without a rest_port."""
        if not self._rest_url:
            raise RuntimeError("REST has no address before start(), and none at all without rest_port=.")
        return self._rest_url

    @property
    def objects(self) -> Objects:
        """Where the server reads images and writes results: what `read_results` and AnnotationJob take as ``objects=``."""
        return self._objects  # type: ignore[return-value]

    @property
    def calls(self) -> list[RecordedCall]:
        """The calls received so far, oldest first."""
        return self._calls.snapshot()

    @property
    def root_certificate(self) -> bytes:
        """The PEM of what a client must trust. Raises RuntimeError without tls."""
        if self._tls is None:
            raise RuntimeError("This server has no certificate: start it with tls=True.")
        return self._tls.root

    @property
    def root_certificate_file(self) -> Path:
        """A file with root_certificate, for GRPC_DEFAULT_SSL_ROOTS_FILE_PATH and the like; gone after stop()."""
        if self._root_file is None:
            pem = self.root_certificate
            descriptor, name = tempfile.mkstemp(prefix="vision-emulator-", suffix=".pem")
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
            self._root_file = Path(name)
        return self._root_file

    def start(self) -> Self:
        """Starts serving, and returns once the address is bound. What interrupts it, as Ctrl-C, leaves nothing of the server behind.

        Raises:
            OSError: the address cannot be bound, or the state file cannot be used.
            RuntimeError: the server runs already.
        """
        if self._thread is not None:
            raise RuntimeError("The server runs already.")
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._end = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, args=(ready,), name="vision-emulator", daemon=True)
        try:
            self._thread.start()
            ready.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, grace: float | None = 0.1) -> None:
        """Stops serving; calls in flight get that many seconds to end. A server that does not run is left alone."""
        if self._thread is None:
            return
        self._grace = grace
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._end.set_result(None)
        # One that the system did not start, or has only just begun with, cannot be joined.
        if self._thread.is_alive():
            self._thread.join()
        self._thread = None
        self._bound = 0
        self._rest_url = ""
        if self._root_file is not None:
            self._root_file.unlink(missing_ok=True)
            self._root_file = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread starts the server all the same.
            await asyncio.wait([starting])
            await asyncio.to_thread(self.stop)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.stop)

    def _main(self, ready: "concurrent.futures.Future[None]") -> None:
        try:
            asyncio.run(self._serve(ready, self._end))
        except BaseException as error:
            if ready.done():
                logger.exception("The embedded server ended.")
            else:
                ready.set_exception(error)

    async def _serve(self, ready: "concurrent.futures.Future[None]", end: "concurrent.futures.Future[None]") -> None:
        store = Store(Journal(self._state) if self._state is not None else None)
        images = Images(self._objects, self._annotator, self.faults, self._workers)
        processing = Processing(images, store, self.clock, self.faults, limit=self._limit, seconds=self._seconds)
        methods = [*ImageAnnotator(images, store, processing, self.clock).methods(), *Operations(store, processing, self.clock).methods()]
        server = grpc.aio.server(options=_OPTIONS)
        door = Door(methods, self._calls, self.faults, self.clock)
        rest: RestServer | None = None
        try:
            server.add_generic_rpc_handlers((door,))
            await add_extras(server, sorted({method.path.split("/")[1] for method in methods}))
            self._bound = self._bind(server)
            if self._rest_server is not None:
                rest = self._rest_server(door, methods, host=self._host, port=self._rest_port or 0, tls=self._tls)
                self._rest_url = rest.url
                rest.start()
            await server.start()
            for operation in store.unfinished():
                processing.accept(operation)
            ready.set_result(None)
            await asyncio.wrap_future(end)
        finally:
            await asyncio.gather(server.stop(self._grace), *([rest.stop(self._grace)] if rest is not None else []))
            await processing.close()
            await asyncio.to_thread(images.close)
            store.close()

    def _bind(self, server: grpc.aio.Server) -> int:
        check_address(self._host, self._port)
        address = written(self._host, self._port)
        try:
            if self._tls is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(
                address,
                grpc.ssl_server_credentials(
                    [(self._tls.key, self._tls.certificate)], self._tls.client_root, require_client_auth=self._tls.client_root is not None
                ),
            )
        except RuntimeError as error:
            trouble = "the TLS key is not the certificate's, or one of them is damaged" if self._tls else "something else has just taken it"
            raise OSError(f"{address} cannot be bound: {trouble}.") from error


def _annotators() -> Annotator:
    from vision_grpc.emulator.annotators import annotate_bytes, check_available

    # What every picture needs. What only one feature needs is said in the error of the image that asks for it.
    check_available([v1.Feature.Type.TYPE_UNSPECIFIED])
    return annotate_bytes


def _rest_server() -> "type[RestServer]":
    try:
        from vision_grpc.emulator.rest.server import RestServer
    except ModuleNotFoundError as error:
        raise ImportError("REST needs packages that are not installed: pip install 'vision-grpc[rest]'.") from error
    return RestServer


def _cores() -> int:
    # What this process may use, which in a container is less than the machine has; not every system says.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
