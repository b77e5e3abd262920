"""The bindings are those of our protos, all of them, and what the service configuration adds."""

from collections.abc import Callable

import pytest

from vision_grpc.emulator import Emulator
from vision_grpc.emulator.faults import METHODS
from vision_grpc.emulator.rest.rules import Binding, bindings, find
from vision_grpc.emulator.rpc import Method


def served() -> list[Method]:
    """The methods of a server, without what they do."""
    from vision_grpc.emulator.longrunning import Operations
    from vision_grpc.emulator.service import ImageAnnotator

    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    return [*ImageAnnotator(*[nothing] * 4).methods(), *Operations(*[nothing] * 3).methods()]  # type: ignore[arg-type]


BOUND: list[Binding] = bindings(served())


def test_every_bound_method_is_bound() -> None:
    """Every method of every version has its rules, but WaitOperation, which the protos bind nowhere."""
    assert {binding.method.name for binding in BOUND} == METHODS - {"WaitOperation"}
    count = {version: sum(binding.template.version == version for binding in BOUND) for version in ("v1", "v1p1beta1", "v1p4beta1")}
    assert count == {"v1": 4 * 3 + 4 * 4, "v1p1beta1": 1 + 3 + 4 * 4, "v1p4beta1": 4 + 4 * 4}


@pytest.mark.parametrize(
    ("verb", "path", "method", "values"),
    [
        ("POST", "/v1/images:annotate", "BatchAnnotateImages", {}),
        ("POST", "/v1/projects/p/images:annotate", "BatchAnnotateImages", {"parent": "projects/p"}),
        ("POST", "/v1/projects/p/locations/eu/files:asyncBatchAnnotate", "AsyncBatchAnnotateFiles", {"parent": "projects/p/locations/eu"}),
        ("GET", "/v1/operations", "ListOperations", {"name": "operations"}),
        ("GET", "/v1/projects/p/operations", "ListOperations", {"name": "projects/p"}),
        ("GET", "/v1/projects/p/locations/eu/operations", "ListOperations", {"name": "projects/p/locations/eu"}),
        ("GET", "/v1/operations/x", "GetOperation", {"name": "operations/x"}),
        ("GET", "/v1/projects/p/operations/x", "GetOperation", {"name": "projects/p/operations/x"}),
        ("GET", "/v1/projects/p/locations/eu/operations/x", "GetOperation", {"name": "projects/p/locations/eu/operations/x"}),
        ("GET", "/v1/locations/eu/operations/x", "GetOperation", {"name": "locations/eu/operations/x"}),
        ("DELETE", "/v1/projects/p/operations/x", "DeleteOperation", {"name": "projects/p/operations/x"}),
        ("POST", "/v1/operations/x:cancel", "CancelOperation", {"name": "operations/x"}),
        ("GET", "/v1p1beta1/operations", "ListOperations", {"name": "operations"}),
        ("GET", "/v1p4beta1/projects/p/operations/x", "GetOperation", {"name": "projects/p/operations/x"}),
        (
            "POST",
            "/v1p4beta1/projects/p/locations/eu/operations/x:cancel",
            "CancelOperation",
            {"name": "projects/p/locations/eu/operations/x"},
        ),
        ("POST", "/v1/projects/p/operations/x:cancel", "CancelOperation", {"name": "projects/p/operations/x"}),
    ],
)
def test_find(verb: str, path: str, method: str, values: dict[str, str]) -> None:
    """A request finds its method and binds what its path says."""
    found = find(BOUND, verb, path)
    assert found is not None
    assert (found[0].method.name, found[1]) == (method, values)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/images:annotate"),
        ("PUT", "/v1/operations/x"),
        ("POST", "/v1p1beta1/files:annotate"),
        ("POST", "/v1p4beta1/projects/p/images:annotate"),
        ("GET", "/v1p2beta1/operations/x"),
        ("POST", "/v1/operations/x:wait"),
        ("GET", "/v1/projects/p/productSets"),
    ],
)
def test_not_bound(verb: str, path: str) -> None:
    """What the protos do not bind is not served: another verb, a version without the method, product search."""
    assert find(BOUND, verb, path) is None


def test_the_server_is_optional(serve: Callable[..., Emulator]) -> None:
    """Without rest_port there is no REST, and its address is refused with the way out."""
    with pytest.raises(RuntimeError, match="without rest_port="):
        _ = serve().rest_url
    with pytest.raises(ValueError, match="rest_port is 70000"):
        serve(rest_port=70000)
