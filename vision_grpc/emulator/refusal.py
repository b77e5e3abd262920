"""How the server says no to a whole call."""

import grpc

_SHOWN = 200


class Refused(Exception):
    """The call is answered with a status instead of a reply."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    """Returns the refusal of a request that is wrong in itself."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def shown(text: str) -> str:
    """Returns text fit for a status message: escaped, and cut, because a status travels in metadata of a few kilobytes."""
    return ascii(text) if len(text) <= _SHOWN else ascii(text[:_SHOWN]) + "..."
