"""Which HTTP requests a method answers, read from the google.api.http options of our protos. No I/O here."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from vision_grpc._gen import POOL
from vision_grpc.emulator.rest.template import Template
from vision_grpc.emulator.rpc import Method

# The rules in operations.proto are those of the interface, "/v1/{name=operations/**}"; the API that serves it says in its
# service configuration where its operations lie. For Vision the reading of one is published in three more places (its
# discovery document and its client libraries name them). That listing, cancelling and deleting work there too is ours:
# the names that the service gives out begin with projects/, and could otherwise not be used for them. So are the other
# versions: google-cloud-vision's REST transport of v1p4beta1 asks below /v1p4beta1/, which is not published.
_PLACES = ("", "projects/*/", "projects/*/locations/*/", "locations/*/")
_VERSIONS = ("v1", "v1p1beta1", "v1p4beta1")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One way to call a method by HTTP.

    Attributes:
        method: what answers.
        descriptor: its definition, with the types of request and reply.
        verb: "GET", "POST" or "DELETE".
        template: the path.
        body: "*" where the body is the request, nothing where the query is.
    """

    method: Method
    descriptor: MethodDescriptor
    verb: str
    template: Template
    body: str


def bindings(methods: Iterable[Method]) -> list[Binding]:
    """Returns every binding of the methods; one without a rule, as WaitOperation, has none."""
    return [binding for method in methods for binding in _bindings(method)]


def find(bound: Iterable[Binding], verb: str, path: str) -> tuple[Binding, dict[str, str]] | None:
    """Returns the binding that a request is for, and the values in its path, still percent-encoded on the way in."""
    for binding in bound:
        if binding.verb == verb and (values := binding.template.match(path)) is not None:
            return binding, values
    return None


def _bindings(method: Method) -> Iterator[Binding]:
    descriptor = POOL.FindMethodByName(method.path[1:].replace("/", "."))
    options = descriptor.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    for each in (rule, *rule.additional_bindings):
        verb, text = _pattern(each)
        for path in _placed(text):
            yield Binding(method=method, descriptor=descriptor, verb=verb, template=Template(path), body=each.body)


def _pattern(rule: Any) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind == "custom":
        return rule.custom.kind, rule.custom.path
    return kind.upper(), getattr(rule, kind)


def _placed(text: str) -> Iterator[str]:
    """Yields the paths at which a rule is served: the one that it names, for Operations also the others."""
    yield text
    for version, place in itertools.product(_VERSIONS, _PLACES):
        moved = text.replace("/v1/{name=operations", f"/{version}/{{name={place}operations")
        if place:
            moved = moved.replace("/operations/**}", "/operations/*}").replace("/operations}", "}/operations")
        if moved != text:
            yield moved
