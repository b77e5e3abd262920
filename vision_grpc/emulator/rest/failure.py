"""How a call fails in HTTP: the status codes and the error JSON of Google APIs. No I/O here.

Both are published: https://cloud.google.com/apis/design/errors, and the comments of google/rpc/code.proto.
"""

import base64
import logging
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.rpc import error_details_pb2

from vision_grpc._gen import POOL, share

logger = logging.getLogger(__name__)

# A scripted fault may carry ErrorInfo, RetryInfo and the like: their types must be known to be told in JSON.
share(error_details_pb2)
_Status: Any = message_factory.GetMessageClass(POOL.FindMessageTypeByName("google.rpc.Status"))
_BadRequest: Any = message_factory.GetMessageClass(POOL.FindMessageTypeByName("google.rpc.BadRequest"))

_Code = grpc.StatusCode
HTTP_STATUS = {
    _Code.OK: 200,
    _Code.CANCELLED: 499,
    _Code.UNKNOWN: 500,
    _Code.INVALID_ARGUMENT: 400,
    _Code.DEADLINE_EXCEEDED: 504,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.PERMISSION_DENIED: 403,
    _Code.UNAUTHENTICATED: 401,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.FAILED_PRECONDITION: 400,
    _Code.ABORTED: 409,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNIMPLEMENTED: 501,
    _Code.INTERNAL: 500,
    _Code.UNAVAILABLE: 503,
    _Code.DATA_LOSS: 500,
}


class Failure(Exception):
    """The request is answered with an error. ``details`` is a serialised google.rpc.Status, whose details are told."""

    def __init__(self, code: grpc.StatusCode, message: str, details: bytes = b"") -> None:
        # JSON may hold halves of characters, and a refusal may quote them; what is sent may not.
        self.message = message.encode(errors="replace").decode()
        super().__init__(self.message)
        self.code = code
        self._details = details

    @property
    def http_status(self) -> int:
        """The status code of the HTTP reply."""
        return HTTP_STATUS[self.code]

    def wire(self) -> bytes:
        """Returns the google.rpc.Status, serialised."""
        wire: bytes = self._status().SerializeToString()
        return wire

    def json(self) -> dict[str, Any]:
        """Returns ``{"error": {"code": …, "message": …, "status": …, "details": […]}}``, whose code is HTTP's."""
        error: dict[str, Any] = {"code": self.http_status, "message": self.message, "status": self.code.name}
        details = [_detail(detail) for detail in self._status().details]
        return {"error": error | ({"details": details} if details else {})}

    def _status(self) -> Any:
        status = _Status.FromString(self._details)
        status.code, status.message = self.code.value[0], self.message
        return status


def bad_payload(description: str, field: str = "") -> Failure:
    """Returns the refusal of a request that is no request of its method, in the form that Google APIs give it."""
    return bad_value(f"Invalid JSON payload received. {description}", field)


def bad_value(text: str, field: str) -> Failure:
    """Returns the refusal of a request in which one field is wrong, named by its path."""
    status = _Status()
    violations = _BadRequest()
    violations.field_violations.add(field=field.encode(errors="replace"), description=text.encode(errors="replace"))
    status.details.add().Pack(violations)
    return Failure(_Code.INVALID_ARGUMENT, text, status.SerializeToString())


def _detail(detail: Any) -> Any:
    try:
        return json_format.MessageToDict(detail, descriptor_pool=POOL)
    except (TypeError, ValueError, json_format.Error):
        # Ours: proto3 JSON has no form for a type that is not known.
        logger.info("The type of the error detail %s is not known.", detail.type_url)
        return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}
