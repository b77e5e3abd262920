"""The query parameters that every Google API takes, apart from those that are fields of the request. No I/O here.

Published: https://cloud.google.com/apis/docs/system-parameters. Each may be written with a dollar sign in front.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vision_grpc.emulator.refusal import invalid, shown

# Where gRPC's clients, and this one's call log, look for what HTTP may also say in the query.
_AS_METADATA = {"key": "x-goog-api-key", "quotaUser": "x-goog-quota-user", "userProject": "x-goog-user-project"}
_TOKENS = ("access_token", "oauth_token")
# Taken and without effect: the form of errors is the newer one, and no method uploads or downloads media.
_IGNORED = {".xgafv": ("1", "2"), "uploadType": None, "upload_protocol": None, "unique": None}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(kw_only=True)
class Parameters:
    """What a request asks for beyond its message.

    Attributes:
        proto: replies are protobuf, not JSON.
        enum_numbers: JSON gives enums by number.
        pretty: JSON is indented.
        fields: which fields of the reply are wanted, as text; nothing for all.
        metadata: keys, tokens and the like, as the headers that say the same. They are never logged.
    """

    proto: bool = False
    enum_numbers: bool = False
    pretty: bool = True
    fields: str = ""
    metadata: list[tuple[str, str]] = field(default_factory=list, repr=False)

    def take(self, query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Reads the parameters out of a query and returns the rest of it, which is for the message. Raises Refused."""
        return [(name, value) for name, value in query if not self._took(name.removeprefix("$"), value)]

    def _took(self, name: str, value: str) -> bool:
        if name == "alt":
            self._alt(value)
        elif name == "prettyPrint":
            self.pretty = _one_of(name, value, _BOOLEANS)
        elif name == "fields":
            self.fields = value
        elif name in _AS_METADATA:
            self.metadata.append((_AS_METADATA[name], value))
        elif name in _TOKENS:
            self.metadata.append(("authorization", f"Bearer {value}"))
        elif name == "callback":
            raise invalid("callback: JSONP is not supported; leave the parameter out and read the reply as JSON.")  # ours
        elif name in _IGNORED:
            values = _IGNORED[name]
            if values is not None:
                _one_of(name, value, dict.fromkeys(values))
        else:
            return False
        return True

    def _alt(self, value: str) -> None:
        form, _, option = value.partition(";")
        self.proto = _one_of("alt", form, {"json": False, "proto": True})
        self.enum_numbers = _one_of("alt", option, {"": False, "enum-encoding=int": True, "enum-encoding=name": False})


def _one_of(name: str, value: str, meanings: dict[str, Any]) -> Any:
    if value not in meanings:
        # Ours.
        raise invalid(f"{name} is {shown(value)}; give one of {', '.join(meaning for meaning in meanings if meaning)}.")
    return meanings[value]
