"""A Vision service of google-cloud-vision's message types and googleapis-common-protos' operations: knows nothing of this project.

Usage: python foreign_server.py FOLDER. Writes each request that it accepts to FOLDER as JSON, prints its port, serves until stdin
ends. An operation runs at its first look and is done at the next. WaitOperation is not served. A project named after a status
code is refused with that code and details.
"""

import itertools
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.cloud import vision_v1, vision_v1p4beta1
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

VERSIONS = {"v1": vision_v1, "v1p4beta1": vision_v1p4beta1}


def packed(message: Any) -> any_pb2.Any:
    """The message as an Any."""
    wrapper = any_pb2.Any()
    wrapper.Pack(message)
    return wrapper


class Service(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """Both services over one dictionary of operations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(1)
        self.operations: dict[str, operations_pb2.Operation] = {}
        self.responses: dict[str, tuple[Any, Any]] = {}

    def handler(self, version: str) -> grpc.GenericRpcHandler:
        """ImageAnnotator of that version."""
        vision = VERSIONS[version]
        methods = {
            "AsyncBatchAnnotateImages": (self.submit, vision.AsyncBatchAnnotateImagesRequest),
            "BatchAnnotateImages": (self.annotate, vision.BatchAnnotateImagesRequest),
        }
        return grpc.method_handlers_generic_handler(
            f"google.cloud.vision.{version}.ImageAnnotator",
            {
                name: grpc.unary_unary_rpc_method_handler(
                    lambda request, context, method=method: method(vision, request, context),
                    request_deserializer=kind.deserialize,
                    response_serializer=lambda reply: reply.SerializeToString(),
                )
                for name, (method, kind) in methods.items()
            },
        )

    def submit(self, vision: Any, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:
        """Accepts a request, or refuses it with the code that its project is named after."""
        project = getattr(request, "parent", "").partition("/")[2].partition("/")[0]
        if project in {code.name for code in grpc.StatusCode}:
            details = [
                error_details_pb2.ErrorInfo(reason=project, domain="example.com"),
                error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=10_000_000)),
                error_details_pb2.BadRequest(field_violations=[error_details_pb2.BadRequest.FieldViolation(field="parent")]),
            ]
            status = status_pb2.Status(code=code_pb2.Code.Value(project), message=f"Refused: {project}.", details=map(packed, details))
            context.abort_with_status(rpc_status.to_status(status))
        number = next(self.numbers)
        (self.folder / f"{number}.json").write_text(type(request).to_json(request))
        name = f"projects/{project or 'p'}/operations/{number:016x}"
        self.operations[name] = operations_pb2.Operation(name=name)
        self.responses[name] = (vision, vision.AsyncBatchAnnotateImagesResponse(output_config=request.output_config))
        return self.operations[name]

    def annotate(self, vision: Any, request: Any, context: grpc.ServicerContext) -> Any:
        """Answers each image with its content as text."""
        responses = [{"text_annotations": [{"description": one.image.content.decode()}]} for one in request.requests]
        return vision.BatchAnnotateImagesResponse.pb(vision.BatchAnnotateImagesResponse(responses=responses))

    def GetOperation(self, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:  # noqa: N802 - gRPC's name
        """The operation, which each look brings one state further."""
        if request.name not in self.operations:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Unknown: {request.name}")
        operation = self.operations[request.name]
        if operation.done:
            return operation
        vision, response = self.responses[request.name]
        kind = vision.OperationMetadata
        state = kind.State.DONE if operation.HasField("metadata") else kind.State.RUNNING
        operation.metadata.CopyFrom(packed(kind.pb(kind(state=state, create_time="2026-01-02T03:04:05Z"))))
        if state == kind.State.DONE:
            operation.done = True
            operation.response.CopyFrom(packed(type(response).pb(response)))
        return operation

    def ListOperations(self, request: Any, context: grpc.ServicerContext) -> operations_pb2.ListOperationsResponse:  # noqa: N802
        """Two operations a page."""
        names = sorted(name for name in self.operations if name.startswith(request.name))
        first = int(request.page_token or 0)
        return operations_pb2.ListOperationsResponse(
            operations=[self.operations[name] for name in names[first : first + 2]],
            next_page_token=str(first + 2) if first + 2 < len(names) else "",
        )

    def CancelOperation(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Ends the operation as cancelled."""
        operation = self.operations[request.name]
        operation.done = True
        operation.error.CopyFrom(status_pb2.Status(code=1, message="Cancelled by its user.", details=[packed(error_details_pb2.Help())]))
        return empty_pb2.Empty()

    def DeleteOperation(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Forgets the operation."""
        del self.operations[request.name]
        return empty_pb2.Empty()


def main() -> None:
    """Serves until stdin ends."""
    service = Service(Path(sys.argv[1]))
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([service.handler(version) for version in VERSIONS])
    operations_pb2_grpc.add_OperationsServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert not any(name.partition(".")[0] == "vision_grpc" for name in sys.modules)
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
