"""Path templates: what they match, what they bind, how a discovery document tells them."""

import pytest

from vision_grpc.emulator.rest.template import Template, discovery_pattern


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/images:annotate", "/v1/images:annotate", {}),
        ("/v1/images:annotate", "/v1/images:annotat", None),
        ("/v1/images:annotate", "/v1/images:annotate/", None),
        ("/v1/{parent=projects/*}/images:annotate", "/v1/projects/p/images:annotate", {"parent": "projects/p"}),
        ("/v1/{parent=projects/*}/images:annotate", "/v1/projects/example.com:p/images:annotate", {"parent": "projects/example.com:p"}),
        ("/v1/{parent=projects/*}/images:annotate", "/v1/projects/p/q/images:annotate", None),
        ("/v1/{parent=projects/*}/images:annotate", "/v1/projects//images:annotate", None),
        ("/v1/{name=operations/**}:cancel", "/v1/operations/a/b:cancel", {"name": "operations/a/b"}),
        ("/v1/{name=operations/**}", "/v1/operations/", None),
        ("/v1/{name=operations}", "/v1/operations", {"name": "operations"}),
        ("/v1/{name}", "/v1/a%2Fb%20c", {"name": "a/b c"}),
        ("/v1/{name=operations/**}", "/v1/operations/a%2fb%20c", {"name": "operations/a%2fb c"}),
        ("/v1/{a.b=x/*}/y/{c=*}", "/v1/x/1/y/2", {"a.b": "x/1", "c": "2"}),
        ("/v1.x/{name}", "/v1ax/n", None),
    ],
)
def test_match(template: str, path: str, values: dict[str, str] | None) -> None:
    """A path matches as a whole; values are decoded, but for an encoded slash in a variable of several segments."""
    assert Template(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "path", "flat", "collections", "verb"),
    [
        ("/v1/images:annotate", "v1/images:annotate", "v1/images:annotate", ["images"], "annotate"),
        ("/v1/{name=operations/**}", "v1/{+name}", "v1/operations/{operationsId}", ["operations"], ""),
        (
            "/v1/{name=projects/*/operations/*}:cancel",
            "v1/{+name}:cancel",
            "v1/projects/{projectsId}/operations/{operationsId}:cancel",
            ["projects", "operations"],
            "cancel",
        ),
    ],
)
def test_discovery(template: str, path: str, flat: str, collections: list[str], verb: str) -> None:
    """The forms of a discovery document follow from the template."""
    parsed = Template(template)
    assert (parsed.discovery_path, parsed.flat_path, parsed.collections, parsed.verb) == (path, flat, collections, verb)
    assert parsed.version == "v1"


def test_discovery_pattern() -> None:
    """A pattern becomes the regular expression that Google's documents have for it."""
    assert discovery_pattern("projects/*/locations/*") == "^projects/[^/]+/locations/[^/]+$"
    assert discovery_pattern("operations/**") == "^operations/.*$"
    assert discovery_pattern("operations") == "^operations$"
