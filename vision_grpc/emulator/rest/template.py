"""Path templates of google.api.http: matched with the paths of requests, and told to a discovery document. No I/O here.

The grammar is that of google/api/http.proto: ``/v1/{name=projects/*/operations/*}:cancel``.
"""

import re
from urllib.parse import unquote

_VARIABLE = re.compile(r"\{(?P<name>\w+(?:\.\w+)*)(?:=(?P<pattern>[^{}]+))?\}")
_SEGMENTS = {"*": "[^/]+", "**": ".+"}


class Template:
    """One template.

    Attributes:
        text: as it is written in the rule.
        variables: the pattern of each variable, "projects/*"; "*" where the rule gives none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables = {match["name"]: match["pattern"] or "*" for match in _VARIABLE.finditer(text)}
        literals = _VARIABLE.split(text)[::3]
        groups = [f"({_segments(pattern)})" for pattern in self.variables.values()]
        self._regex = re.compile("".join(re.escape(literal) + group for literal, group in zip(literals, [*groups, ""], strict=True)))

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the values of the variables, decoded, or None where the path, still percent-encoded, is another."""
        match = self._regex.fullmatch(path)
        if match is None:
            return None
        return {name: _decode(value, pattern) for (name, pattern), value in zip(self.variables.items(), match.groups(), strict=True)}

    @property
    def expanded(self) -> str:
        """The template with the patterns in place of the variables: "/v1/projects/*/operations/*:cancel"."""
        return _VARIABLE.sub(lambda match: match["pattern"] or "*", self.text)

    @property
    def discovery_path(self) -> str:
        """The path of a discovery document: "v1/{+name}:cancel"."""
        return _VARIABLE.sub(r"{+\g<name>}", self.text).removeprefix("/")

    @property
    def flat_path(self) -> str:
        """The flat path of a discovery document: "v1/projects/{projectsId}/operations/{operationsId}:cancel"."""
        return re.sub(r"(\w+)/\*\*?", r"\1/{\1Id}", self.expanded).removeprefix("/")

    @property
    def collections(self) -> list[str]:
        """The literal parts of the path without version and custom verb: ["projects", "operations"]."""
        return [part for part in self.expanded.partition(":")[0].split("/")[2:] if "*" not in part]

    @property
    def version(self) -> str:
        """The first part of the path: "v1"."""
        return self.text.split("/")[1]

    @property
    def verb(self) -> str:
        """The custom verb after the colon, or nothing."""
        return self.expanded.partition(":")[2]


def discovery_pattern(pattern: str) -> str:
    """Returns a variable's pattern as the regular expression of a discovery document: "^projects/[^/]+$"."""
    return f"^{_segments(pattern).replace('.+', '.*')}$"


def _segments(pattern: str) -> str:
    return "/".join(_SEGMENTS.get(segment, segment) for segment in pattern.split("/"))


def _decode(value: str, pattern: str) -> str:
    # In a variable of several segments an encoded slash is no separator, and stays encoded (google/api/http.proto).
    return unquote(value if pattern == "*" else re.sub("%(2[fF])", r"%25\1", value))
