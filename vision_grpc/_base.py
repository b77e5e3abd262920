"""What Client and AsyncClient have in common: their settings, and the flows behind their methods. No I/O here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import Message

from vision_grpc import _operations, v1
from vision_grpc._adopt import adopt
from vision_grpc._calls import CANCEL, DELETE, GET, LIST, Context, Flow, Identify, Metadata, annotator, call
from vision_grpc._channel import ChannelSettings, ClientCertificate
from vision_grpc._gen.google.longrunning.operations_pb2 import (
    CancelOperationRequest,
    DeleteOperationRequest,
    GetOperationRequest,
    ListOperationsRequest,
)
from vision_grpc.auth import Auth
from vision_grpc.config import DEFAULT_UNIVERSE, VERSIONS, Polling, Retry, Target, limit_of
from vision_grpc.errors import CallError, ConfigError, VisionError
from vision_grpc.requests import async_request, batch_request, check_place, check_request

if TYPE_CHECKING:
    import grpc.aio
    from google.auth.credentials import Credentials

    from vision_grpc._operations import ImagesResponse, OperationMetadata, Progress
    from vision_grpc._transport.base import TransportBase
    from vision_grpc._waits import Waits
    from vision_grpc.requests import AsyncRequest, ImageRequestLike

Labels = Mapping[str, str]
Items = Iterable[Message | Mapping[str, Any]] | Message
_T = TypeVar("_T")

TIMEOUT = 60.0
"""Seconds that a call with its retries may take where the caller says nothing."""


def operation_metadata(operation: v1.Operation) -> OperationMetadata | None:
    """The OperationMetadata (state, create_time, update_time) in `operation`; None before the service has set any."""
    return _operations.metadata_of(_ours(operation))


def operation_response(operation: v1.Operation) -> ImagesResponse:
    """The response in a finished operation, of the type that it names itself.

    Raises:
        OperationFailed: The operation ended with an error.
        ConfigError: It still runs, or its response is of a type that this client does not know.
        CallError: The response is damaged or missing; DATA_LOSS.
    """
    response: ImagesResponse = _operations.outcome_of(_ours(operation))
    return response


def _ours(operation: v1.Operation | str) -> Any:
    return operation if isinstance(operation, str) else adopt(operation, v1.Operation, "operation")


_IDENTITY = frozenset({"credentials", "api_key", "quota_project", "universe_domain"})
_TLS = frozenset({"root_certificates", "client_certificate"})
_CONTRADICTIONS = (
    (
        "channel",
        "a channel brings its own endpoint, credentials and settings",
        _IDENTITY | _TLS | {"endpoint", "emulator", "compression", "max_message", "options"},
    ),
    ("emulator", "an emulator is called without encryption and credentials, which would show the secret", _IDENTITY | _TLS),
)
"""Setting, why it stands alone, and what it cannot stand beside, all by their names as arguments."""


class BaseClient:
    """The settings of a client and the flows behind its methods."""

    _transport_class: type[TransportBase]

    def __init__(
        self,
        *,
        version: str = "v1",
        endpoint: str | None = None,
        location: str | None = None,
        project: str | None = None,
        universe_domain: str | None = None,
        credentials: Credentials | None = None,
        api_key: str | None = None,
        quota_project: str | None = None,
        emulator: str | None = None,
        channel: grpc.Channel | grpc.aio.Channel | None = None,
        root_certificates: bytes | None = None,
        client_certificate: ClientCertificate | None = None,
        retry: Retry | None = None,
        polling: Polling | None = None,
        interceptors: Sequence[Any] = (),
        compression: grpc.Compression | None = None,
        keepalive: float | None = 300.0,
        max_message: int | None = None,
        options: Sequence[tuple[str, Any]] = (),
        user_agent: str | None = None,
    ) -> None:
        """Checks the settings; nothing is opened or looked up before the first call.

        Args:
            version: "v1", "v1p4beta1", or "v1p1beta1" (whose asynchronous method is published for REST only; by gRPC it is our guess).
            endpoint: "host" or "host:port" called over TLS; by default vision.googleapis.com, or what `location` and the environment
                (GOOGLE_CLOUD_UNIVERSE_DOMAIN, GOOGLE_API_USE_MTLS_ENDPOINT) make of it.
            location: "eu", "us" or "asia": chooses the regional endpoint where there is one, and is set as the parent of each request
                that names none. Data residency needs both.
            project: The project of that parent; by default that of the credentials.
            universe_domain: As googleapis.com.
            credentials: google-auth credentials; by default Application Default Credentials, looked up at the first call.
            api_key: Instead of credentials.
            quota_project: The project that quota is counted against.
            emulator: "host:port" of an emulator, called without TLS and without credentials; ``VISION_EMULATOR_HOST`` does the same.
            channel: A ready grpc.Channel (AsyncClient: grpc.aio.Channel), used as it is and never closed; what it calls as whom is its own.
            root_certificates: PEM of the authorities to trust, by default gRPC's own.
            client_certificate: Returns certificate and key as PEM, for mutual TLS; ``GOOGLE_API_USE_CLIENT_CERTIFICATE=true`` takes
                google-auth's.
            retry, polling: How calls are repeated and operations asked for.
            interceptors: gRPC client interceptors, for a Client sync, for an AsyncClient aio.
            compression: As ``grpc.Compression.Gzip``, for what is sent.
            keepalive: Seconds between pings on an idle connection, None for none.
            max_message: The largest message in bytes, None for no limit.
            options: Further gRPC channel arguments.
            user_agent: Put before the words of x-goog-api-client.

        Raises:
            ConfigError: A setting is wrong, two contradict each other, or a secret would travel over an insecure channel.
        """
        if version not in VERSIONS:
            raise ConfigError(f"version must be one of {', '.join(VERSIONS)}, not {version!r}")
        settable = {
            "endpoint": endpoint,
            "emulator": emulator,
            "channel": channel,
            "credentials": None if _anonymous(credentials) and channel is None else credentials,
            "api_key": api_key,
            "quota_project": quota_project,
            "universe_domain": universe_domain,
            "root_certificates": root_certificates,
            "client_certificate": client_certificate,
            "compression": compression,
            "max_message": max_message,
            "options": options or None,
        }
        given = {name for name, value in settable.items() if value is not None}
        for setting, why, others in _CONTRADICTIONS:
            if setting in given and (superfluous := sorted(given & others)):
                raise ConfigError(f"{why}: leave {', '.join(superfluous)} out, or {setting}")
        environ = os.environ
        use_certificate = environ.get("GOOGLE_API_USE_CLIENT_CERTIFICATE", "false").lower()
        if use_certificate not in ("true", "false"):
            raise ConfigError(f"GOOGLE_API_USE_CLIENT_CERTIFICATE must be true or false, not {use_certificate!r}")
        if client_certificate is None and channel is None and use_certificate == "true":
            from google.auth.transport import mtls

            if mtls.has_default_client_cert_source():  # type: ignore[no-untyped-call]
                client_certificate = mtls.default_client_cert_source()  # type: ignore[no-untyped-call]
        target = Target.resolve(
            endpoint=endpoint if channel is None else "channel",
            emulator=emulator,
            location=location,
            universe_domain=universe_domain,
            client_certificate=client_certificate is not None,
            environ=environ,
        )
        settings = ChannelSettings(
            target=target,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            keepalive=keepalive,
            max_message=max_message,
            compression=compression,
            options=options,
        )
        if target.secure and channel is None:
            universe = universe_domain or environ.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN") or DEFAULT_UNIVERSE
            auth = Auth(credentials, api_key=api_key, quota_project=quota_project, universe_domain=universe)
        else:
            auth = Auth(anonymous=True)
        self.target = target
        self.version = version
        self._project = project or environ.get("GOOGLE_CLOUD_PROJECT")
        self._polling = chosen("polling", polling, Polling())
        self._door = importlib.import_module(f"vision_grpc.{version}")
        self._transport: Any = self._transport_class(settings, auth, channel, interceptors, user_agent)
        self._transport.close_with(self)
        self._context = Context(retry=chosen("retry", retry, Retry()), connected=self._transport.fresh)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.version} of {self.target}{' closed' if self._transport.closed else ''}>"

    def operation_metadata(self, operation: v1.Operation) -> OperationMetadata | None:
        """As the function `operation_metadata`."""
        return operation_metadata(operation)

    def _submit(
        self,
        requests: Iterable[ImageRequestLike] | AsyncRequest,
        output_config: str | v1.OutputConfig | Mapping[str, Any] | None,
        parent: str | None,
        labels: Labels | None,
        timeout: float | None,
        metadata: Metadata,
    ) -> Flow[v1.Operation]:
        request: Any = async_request(self._door, requests, output_config, parent, labels)
        if self.target.location is not None:
            request, timeout = yield from self._locate(request, timeout)
        check_request(request, endpoint_location=self.target.location)
        method = annotator(self.version, "AsyncBatchAnnotateImages")
        operation: v1.Operation = yield from call(self._context, method, request, timeout=timeout, metadata=metadata)
        return operation

    def _annotate(
        self, method: str, item: str, requests: Items, parent: str | None, labels: Labels | None, timeout: float | None, metadata: Metadata
    ) -> Flow[Any]:
        request = batch_request(self._door, method, item, requests, parent, labels)
        if not request.requests:
            raise ConfigError("requests is empty: name at least one")
        return (yield from self._send(method, request, timeout, metadata))

    def _submit_once(self, request: AsyncRequest, timeout: float | None, metadata: Metadata) -> Flow[v1.Operation]:
        """Sends a request whose images are checked already; for who keeps the quota, and so must hear of every refusal."""
        return self._send("AsyncBatchAnnotateImages", request, timeout, metadata, replace(self._context.retry, attempts=1))

    def _send(self, method: str, request: Any, timeout: float | None, metadata: Metadata, retry: Retry | None = None) -> Flow[Any]:
        request, timeout = yield from self._locate(request, timeout)
        check_place(request, self.target.location)
        return (yield from call(self._context, annotator(self.version, method), request, timeout=timeout, metadata=metadata, retry=retry))

    def _locate(self, request: Any, timeout: float | None) -> Flow[tuple[Any, float | None]]:
        """The request, where it has no parent a copy with the client's location as its parent, and what is then left of `timeout`.

        The caller's own request stays as it is.
        """
        location = self.target.location
        if location is None or "parent" not in request.DESCRIPTOR.fields_by_name or request.parent:
            return request, timeout
        project = self._project
        if not project:
            timeout = limit_of(timeout)
            began = self._context.clock()
            project = yield Identify(timeout)
            if timeout is not None:
                timeout = max(0.0, timeout - (self._context.clock() - began))
        if not project:
            raise ConfigError(f"location {location!r} needs a project to name in parent: pass project= or parent=")
        located = type(request)()
        located.CopyFrom(request)
        located.parent = f"projects/{project}/locations/{location}"
        return located, timeout

    def _get(self, operation: v1.Operation | str, timeout: float | None, metadata: Metadata) -> Flow[v1.Operation]:
        request = GetOperationRequest(name=_operations.operation_name(_ours(operation)))
        return call(self._context, GET, request, timeout=timeout, metadata=metadata)

    def _cancel(self, operation: v1.Operation | str, timeout: float | None, metadata: Metadata) -> Flow[None]:
        request = CancelOperationRequest(name=_operations.operation_name(_ours(operation)))
        yield from call(self._context, CANCEL, request, timeout=timeout, metadata=metadata)

    def _delete(self, operation: v1.Operation | str, timeout: float | None, metadata: Metadata) -> Flow[None]:
        request = DeleteOperationRequest(name=_operations.operation_name(_ours(operation)))
        yield from call(self._context, DELETE, request, timeout=timeout, metadata=metadata)

    def _page(self, request: ListOperationsRequest, timeout: float | None, metadata: Metadata) -> Flow[Any]:
        return call(self._context, LIST, request, timeout=timeout, metadata=metadata)

    def _wait(
        self,
        operation: v1.Operation | str,
        timeout: float | None,
        polling: Polling | None,
        on_progress: Progress | None,
        metadata: Metadata,
    ) -> Flow[ImagesResponse]:
        flow = _operations.wait(
            self._context,
            _ours(operation),
            timeout=timeout,
            polling=chosen("polling", polling, self._polling),
            on_progress=on_progress,
            metadata=metadata,
        )
        response: ImagesResponse = _operations.outcome_of((yield from flow))
        return response

    def _waits(self, names: Iterable[v1.Operation | str], timeout: float | None, polling: Polling | None, metadata: Metadata) -> Waits:
        from vision_grpc._waits import Waits

        if isinstance(names, str | bytes) or not isinstance(names, Iterable):
            raise ConfigError(f"operations must be several, as a list, not {type(names).__name__}")
        waits = Waits(self._context, chosen("polling", polling, self._polling), timeout, metadata)
        waits.add(_operations.operation_name(_ours(name)) for name in names)
        return waits


def _anonymous(credentials: object) -> bool:
    return type(credentials).__name__ == "AnonymousCredentials"


def chosen(name: str, value: _T | None, default: _T) -> _T:
    """`value`, or the default where there is none; a ConfigError where it is not of the default's kind."""
    if value is not None and not isinstance(value, type(default)):
        raise ConfigError(f"{name} must be a {type(default).__name__}, not {type(value).__name__}")
    return default if value is None else value


def ended(operation: v1.Operation | CallError) -> ImagesResponse | VisionError:
    if isinstance(operation, CallError):
        return operation
    try:
        response: ImagesResponse = _operations.outcome_of(operation)
    except VisionError as error:
        return error
    return response


def list_request(parent: str, filter: str, page_size: int) -> ListOperationsRequest:  # noqa: A002 - the API's own name
    if not isinstance(parent, str):
        raise ConfigError(f"parent must be a string as projects/PROJECT, not {type(parent).__name__}")
    return adopt({"name": parent, "filter": filter, "page_size": page_size}, ListOperationsRequest, "list_operations")
