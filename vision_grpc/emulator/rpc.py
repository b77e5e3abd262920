"""What the server's methods look like to its front door. No I/O here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of one API version.

    Attributes:
        path: the full gRPC path.
        request_type: the request's message, of the private pool.
        behaviour: (request, seconds that the client still waits, None for ever) -> the serialised reply. Raises Refused.
    """

    path: str
    request_type: type[Message]
    behaviour: Callable[[Any, float | None], Awaitable[bytes]]

    @property
    def name(self) -> str:
        """The short name: "GetOperation"."""
        return self.path.rpartition("/")[2]
