"""Google Cloud Vision's asynchronous image annotation over gRPC.

The names below are loaded when they are first used, so that `import vision_grpc` and the command line's --help cost nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vision_grpc._base import operation_metadata, operation_response
    from vision_grpc.aio import AsyncClient
    from vision_grpc.client import Client
    from vision_grpc.config import Polling, Retry
    from vision_grpc.errors import (
        AuthError,
        CallError,
        ConfigError,
        ImageError,
        JobIncomplete,
        LedgerError,
        OperationFailed,
        ResultsError,
        VisionError,
        WaitTimeout,
    )
    from vision_grpc.job import AnnotationJob, run_job
    from vision_grpc.messages import from_json, to_dict, to_json
    from vision_grpc.requests import image_requests, split_requests
    from vision_grpc.results import ImageResult, aread_results, read_results

__all__ = [
    "AnnotationJob",
    "AsyncClient",
    "AuthError",
    "CallError",
    "Client",
    "ConfigError",
    "ImageError",
    "ImageResult",
    "JobIncomplete",
    "LedgerError",
    "OperationFailed",
    "Polling",
    "ResultsError",
    "Retry",
    "VisionError",
    "WaitTimeout",
    "aread_results",
    "from_json",
    "image_requests",
    "operation_metadata",
    "operation_response",
    "read_results",
    "run_job",
    "split_requests",
    "to_dict",
    "to_json",
]

_HOME = {
    "AnnotationJob": "job",
    "AsyncClient": "aio",
    "Client": "client",
    "ImageResult": "results",
    "Polling": "config",
    "Retry": "config",
    "aread_results": "results",
    "from_json": "messages",
    "image_requests": "requests",
    "operation_metadata": "_base",
    "operation_response": "_base",
    "read_results": "results",
    "run_job": "job",
    "split_requests": "requests",
    "to_dict": "messages",
    "to_json": "messages",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
