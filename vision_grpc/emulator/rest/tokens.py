"""A token that means nothing, for programs that insist on credentials: the metadata server of a Google machine, in little.

Google's client libraries in every language look for a token there when nothing else is configured and GCE_METADATA_HOST names
a host, so that an example program runs as it is printed. What is served is published:
https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys. The token opens no door; this server checks none.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

TOKEN = "vision-emulator"
_FLAVOR = {"Metadata-Flavor": "Google"}
_ACCOUNT: dict[str, Any] = {
    "aliases": ["default"],
    "email": "vision-emulator@vision-emulator.iam.gserviceaccount.com",
    "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
}
_TOKEN = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}


async def metadata(request: Request) -> Response:
    """Answers as the metadata server does, which refuses whoever does not name its flavor."""
    path = request.path_params.get("path", "").strip("/")
    if path and request.headers.get("metadata-flavor") != "Google":
        return PlainTextResponse("Missing Metadata-Flavor:Google header.\n", 403, _FLAVOR)
    account, _, what = path.removeprefix("instance/service-accounts/").partition("/")
    texts = {"": "instance/\nproject/\n", "project/project-id": TOKEN, "instance": json.dumps({"serviceAccounts": {"default": _ACCOUNT}})}
    if path in texts:
        return PlainTextResponse(texts[path], 200, _FLAVOR)
    known = {"": _ACCOUNT, "token": _TOKEN, "email": _ACCOUNT["email"], "scopes": "\n".join(_ACCOUNT["scopes"])}
    if not path.startswith("instance/service-accounts/") or account not in ("default", _ACCOUNT["email"]) or what not in known:
        return PlainTextResponse("Not found\n", 404, _FLAVOR)
    value = known[what]
    if isinstance(value, str):
        return PlainTextResponse(value, 200, _FLAVOR)
    return Response(json.dumps(value), 200, _FLAVOR, "application/json")
