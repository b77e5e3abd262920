"""The discovery document of an API version, made from the bindings and the descriptors of their messages. No I/O here.

The form is published: https://developers.google.com/discovery/v1/reference/apis. It names no OAuth scopes, on purpose: a
client that is built from it then asks for no credentials, and this server checks none.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from vision_grpc.emulator.rest.rules import Binding
from vision_grpc.emulator.rest.template import discovery_pattern

Json = dict[str, Any]

_F = FieldDescriptor
_SCALARS: dict[int, Json] = {
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_BYTES: {"type": "string", "format": "byte"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    _F.TYPE_INT32: {"type": "integer", "format": "int32"},
    _F.TYPE_INT64: {"type": "string", "format": "int64"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_UINT32: {"type": "integer", "format": "uint32"},
    _F.TYPE_UINT64: {"type": "string", "format": "uint64"},
}
# proto3 JSON writes these as plain values.
_PLAIN: dict[str, Json] = {
    "google.protobuf.Any": {"type": "object", "additionalProperties": {"type": "any"}},
    "google.protobuf.BoolValue": _SCALARS[_F.TYPE_BOOL],
    "google.protobuf.Duration": {"type": "string", "format": "google-duration"},
    "google.protobuf.FieldMask": {"type": "string", "format": "google-fieldmask"},
    "google.protobuf.FloatValue": _SCALARS[_F.TYPE_FLOAT],
    "google.protobuf.Int32Value": _SCALARS[_F.TYPE_INT32],
    "google.protobuf.Int64Value": _SCALARS[_F.TYPE_INT64],
    "google.protobuf.StringValue": _SCALARS[_F.TYPE_STRING],
    "google.protobuf.Timestamp": {"type": "string", "format": "google-datetime"},
}
_PARAMETERS: Json = {
    "$.xgafv": {"type": "string", "enum": ["1", "2"], "enumDescriptions": ["v1 error format", "v2 error format"]},
    "access_token": {"type": "string", "description": "OAuth access token."},
    "alt": {
        "type": "string",
        "default": "json",
        "enum": ["json", "proto"],
        "enumDescriptions": ["application/json", "application/x-protobuf"],
        "description": "Format of the reply.",
    },
    "fields": {"type": "string", "description": "The fields wanted of the reply."},
    "key": {"type": "string", "description": "API key."},
    "oauth_token": {"type": "string", "description": "OAuth access token."},
    "prettyPrint": {"type": "boolean", "default": "true", "description": "Indents the reply."},
    "quotaUser": {"type": "string", "description": "Any text that stands for a user."},
    "uploadType": {"type": "string", "description": "Without effect."},
    "upload_protocol": {"type": "string", "description": "Without effect."},
}


def document(bound: Sequence[Binding], version: str, root_url: str) -> Json | None:
    """Returns the discovery document of an API version, None where the server has no such version.

    Args:
        bound: the bindings of all versions.
        version: "v1", "v1p1beta1" or "v1p4beta1".
        root_url: where this client reaches the server, "http://127.0.0.1:43211/".
    """
    ours = [binding for binding in bound if binding.template.version == version]
    if not ours:
        return None
    schemas = _Schemas(ours)
    resources: Json = {}
    for binding in ours:
        below: Json = {"resources": resources}
        for collection in binding.template.collections:
            below = below.setdefault("resources", {}).setdefault(collection, {})
        below.setdefault("methods", {})[_name(binding)] = _method(binding, schemas)
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"vision:{version}",
        "name": "vision",
        "version": version,
        "title": "Cloud Vision API",
        "description": "Google Cloud Vision as an embedded server of vision-grpc speaks it.",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": "",
        "baseUrl": root_url,
        # Without it clients would send batches of calls to Google; here they get the 404 of an unknown path.
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "parameters": {name: {"location": "query"} | parameter for name, parameter in _PARAMETERS.items()},
        "resources": resources,
        "schemas": dict(sorted(schemas.found.items())),
    }


def _name(binding: Binding) -> str:
    # A custom verb names the method; the standard ones are the first word of the RPC, the Get of GetOperation.
    return binding.template.verb or re.split(r"(?<=[a-z])(?=[A-Z])", binding.method.name)[0].lower()


def _method(binding: Binding, schemas: "_Schemas") -> Json:
    template, request = binding.template, binding.descriptor.input_type
    parameters: Json = {
        name: {"location": "path", "required": True, "type": "string", "pattern": discovery_pattern(pattern)}
        for name, pattern in template.variables.items()
    }
    method: Json = {
        "id": ".".join(["vision", *template.collections, _name(binding)]),
        "description": f"{binding.descriptor.containing_service.full_name}.{binding.descriptor.name}",
        "httpMethod": binding.verb,
        "path": template.discovery_path,
        "flatPath": template.flat_path,
        "parameterOrder": list(template.variables),
        "parameters": parameters,
        "response": {"$ref": schemas.add(binding.descriptor.output_type)},
    }
    if binding.body:
        method["request"] = {"$ref": schemas.add(request)}
    else:
        for field in request.fields:
            if field.name not in template.variables and field.type in _SCALARS:
                parameters[field.json_name] = {"location": "query"} | _SCALARS[field.type]
    return method


class _Schemas:
    """The schemas of messages, each by its name, collected as they are referred to."""

    def __init__(self, bound: Iterable[Binding]) -> None:
        self.found: Json = {}
        # A field that every path to a method holds is no part of its body.
        self._in_path: dict[str, set[str]] = {}
        for binding in bound:
            fields = set(binding.template.variables)
            request = binding.descriptor.input_type.full_name
            self._in_path[request] = self._in_path.get(request, fields) & fields

    def add(self, message: Descriptor) -> str:
        name = _schema_name(message)
        if name not in self.found:
            self.found[name] = schema = {"id": name, "type": "object", "properties": {}}
            left_out = self._in_path.get(message.full_name, set())
            schema["properties"] = {field.json_name: self._property(field) for field in message.fields if field.name not in left_out}
        return name

    def _property(self, field: FieldDescriptor) -> Json:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._value(message.fields_by_name["value"])}
        value = self._value(field)
        return {"type": "array", "items": value} if field.is_repeated else value

    def _value(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            plain = _PLAIN.get(field.message_type.full_name)
            return dict(plain) if plain is not None else {"$ref": self.add(field.message_type)}
        if field.enum_type is not None:
            names = [value.name for value in field.enum_type.values]
            return {"type": "string", "enum": names, "enumDescriptions": [""] * len(names)}
        return dict(_SCALARS[field.type])


def _schema_name(message: Descriptor) -> str:
    """The name as Google's documents form it: short in v1, with package and enclosing messages in the others."""
    package = message.file.package
    if package.startswith("google.cloud.vision.") and not package.endswith(".v1"):
        return "".join(part[0].upper() + part[1:] for part in message.full_name.split("."))
    return message.name
