"""Messages to HTTP replies: proto3 JSON or protobuf, whole or in part. No I/O here."""

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.responses import Response

from vision_grpc._gen import POOL
from vision_grpc.emulator.rest import fields
from vision_grpc.emulator.rest.failure import Failure
from vision_grpc.emulator.rest.parameters import Parameters

JSON = "application/json; charset=UTF-8"
PROTO = "application/x-protobuf"


def success(reply: Message, tree: fields.Tree, parameters: Parameters) -> Response:
    """Returns the reply with the wanted fields."""
    if parameters.proto and not tree:
        return Response(reply.SerializeToString(), media_type=PROTO)
    whole = json_format.MessageToDict(reply, descriptor_pool=POOL, use_integers_for_enums=parameters.enum_numbers)
    value = fields.select(tree, whole, typed=parameters.proto)
    if parameters.proto:
        part = json_format.ParseDict(value, type(reply)(), descriptor_pool=POOL)
        return Response(part.SerializeToString(), media_type=PROTO)
    return _json(value, 200, parameters)


def failure(error: Failure, parameters: Parameters) -> Response:
    """Returns the error in Google's shape; as protobuf it is a google.rpc.Status."""
    if parameters.proto:
        return Response(error.wire(), error.http_status, media_type=PROTO)
    return _json(error.json(), error.http_status, parameters)


def _json(value: Any, status: int, parameters: Parameters) -> Response:
    indent, separators = (2, None) if parameters.pretty else (None, (",", ":"))
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators) + ("\n" if parameters.pretty else "")
    return Response(text.encode(), status, media_type=JSON)
