"""google-cloud-vision's own clients, unmodified, as a program of its own: knows nothing of this project.

Reads one command a line as JSON, answers each with one line of JSON. Trusts what GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names; its
clients get an endpoint and credentials, and nothing else.
"""

import asyncio
import inspect
import json
import sys
import time
from typing import Any

from google.api_core import exceptions, retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision_v1, vision_v1p4beta1
from google.protobuf import json_format

VERSIONS = {"v1": vision_v1, "v1p4beta1": vision_v1p4beta1}


async def settled(value: Any) -> Any:
    """What the client of either kind returned, awaited where it must be."""
    return await value if inspect.isawaitable(value) else value


def described(error: Exception) -> dict[str, Any]:
    """An exception in the terms in which a user of the client meets it."""
    return {
        "class": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "message": getattr(error, "message", str(error)),
        "code": getattr(getattr(error, "grpc_status_code", None), "name", None),
        "details": [type(detail).__name__ for detail in getattr(error, "details", ())],
        "reason": getattr(error, "reason", None),
    }


def options(command: dict[str, Any]) -> dict[str, Any]:
    """Retry and timeout of a call: the client's own unless the command asks for none, or for the default cut to some seconds."""
    chosen: dict[str, Any] = {"timeout": command["timeout"]} if "timeout" in command else {}
    if command.get("retry") == "none":
        chosen["retry"] = None
    elif "retry" in command:
        kind = retry.AsyncRetry if command["flavour"] == "async" else retry.Retry
        predicate = retry.if_exception_type(exceptions.DeadlineExceeded, exceptions.ServiceUnavailable)
        chosen["retry"] = kind(initial=0.1, maximum=60.0, multiplier=1.3, predicate=predicate, timeout=command["retry"])
    return chosen


async def perform(command: dict[str, Any]) -> dict[str, Any]:
    """One action on a client made for it."""
    vision = VERSIONS[command["version"]]
    kind = vision.ImageAnnotatorAsyncClient if command["flavour"] == "async" else vision.ImageAnnotatorClient
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    client = kind(credentials=anonymous, client_options={"api_endpoint": command["endpoint"]})
    try:
        if command["action"] == "get":
            found = await settled(client.transport.operations_client.get_operation(command["name"], **options(command)))
            return {"name": found.name, "done": found.done}
        request = vision.AsyncBatchAnnotateImagesRequest.from_json(json.dumps(command["request"]))
        operation = await settled(client.async_batch_annotate_images(request=request, **options(command)))
        answer: dict[str, Any] = {"name": operation.operation.name}
        if command["action"] == "submit":
            return answer
        if command["action"] == "cancel":
            await settled(operation.cancel())
            answer["cancelled"] = await settled(operation.cancelled())
        if command["action"] == "delete":
            await settled(operation.result(timeout=60))
            await settled(client.transport.operations_client.delete_operation(operation.operation.name))
            return answer
        try:
            result = await settled(operation.result(timeout=command.get("wait", 60)))
            answer["result"] = json_format.MessageToDict(type(result).pb(result))
        finally:
            answer["state"] = operation.metadata.state.name if operation.metadata else None
        return answer
    except Exception as error:
        return {"error": described(error), **(answer if "answer" in locals() else {})}
    finally:
        await settled(client.transport.close())


def main() -> None:
    """Serves commands until stdin ends."""
    for line in sys.stdin:
        started = time.monotonic()
        answer = asyncio.run(perform(json.loads(line)))
        print(json.dumps({**answer, "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    main()
