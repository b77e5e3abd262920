"""Google Cloud Vision's asynchronous image annotation over gRPC."""

from vision_grpc._base import operation_metadata, operation_response
from vision_grpc.aio import AsyncClient
from vision_grpc.client import Client
from vision_grpc.config import Polling, Retry
from vision_grpc.errors import (
    AuthError,
    CallError,
    ConfigError,
    ImageError,
    LedgerError,
    OperationFailed,
    ResultsError,
    VisionError,
    WaitTimeout,
)
from vision_grpc.requests import image_requests, split_requests

__all__ = [
    "AsyncClient",
    "AuthError",
    "CallError",
    "Client",
    "ConfigError",
    "ImageError",
    "LedgerError",
    "OperationFailed",
    "Polling",
    "ResultsError",
    "Retry",
    "VisionError",
    "WaitTimeout",
    "image_requests",
    "operation_metadata",
    "operation_response",
    "split_requests",
]
