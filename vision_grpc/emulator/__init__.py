"""The embedded server: Vision's asynchronous image annotation over real gRPC on loopback, with directories for buckets.

It keeps the service's published contract (validation, operations, output objects, failures) and shares no code of that
contract with the client, so that it can judge it. Start it with :class:`Emulator`, or as ``python -m vision_grpc.emulator``.
"""

from vision_grpc.emulator.calls import RecordedCall
from vision_grpc.emulator.clock import Clock, SystemClock, VirtualClock
from vision_grpc.emulator.faults import Fault, Faults
from vision_grpc.emulator.server import Emulator
from vision_grpc.emulator.tls import Authority, Tls

__all__ = ["Authority", "Clock", "Emulator", "Fault", "Faults", "RecordedCall", "SystemClock", "Tls", "VirtualClock"]
