"""The embedded server: Vision's asynchronous image annotation over real gRPC on loopback, with directories for buckets.

It keeps the service's published contract (validation, operations, output objects, failures) and shares no code of that
contract with the client, so that it can judge it. Start it with :class:`Emulator`, or as ``python -m vision_grpc.emulator``.

The names below are loaded when they are first used, so that the program can answer a signal before it imports gRPC.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vision_grpc.emulator.calls import RecordedCall
    from vision_grpc.emulator.clock import Clock, SystemClock, VirtualClock
    from vision_grpc.emulator.faults import Fault, Faults
    from vision_grpc.emulator.server import Emulator
    from vision_grpc.emulator.tls import Authority, Tls

__all__ = ["Authority", "Clock", "Emulator", "Fault", "Faults", "RecordedCall", "SystemClock", "Tls", "VirtualClock"]

_HOME = {"Authority": "tls", "Emulator": "server", "Fault": "faults", "Faults": "faults", "RecordedCall": "calls", "Tls": "tls"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'clock')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
