"""google-api-python-client, unmodified: an operation of a version from submit to delete, by the client that a document makes.

``built`` builds from the server's discovery document, ``fetched`` has the client fetch it, ``published`` takes the document
that Google ships with the client and changes its endpoint. Prints JSON.
"""

import json
import os
import sys
import urllib.request
from typing import Any

from google.api_core.client_options import ClientOptions
from googleapiclient.discovery import build, build_from_document
from googleapiclient.errors import HttpError

URL = os.environ["VISION_EMULATOR_REST_URL"]
REQUEST = {
    "requests": [{"image": {"source": {"imageUri": "gs://photos/a.png"}}, "features": [{"type": "TEXT_DETECTION"}]}],
    "outputConfig": {"gcsDestination": {"uri": "gs://out/python/"}},
}


def client(how: str, version: str) -> Any:
    """The client of a version."""
    if how == "published":
        return build("vision", version, developerKey="any-key", client_options=ClientOptions(api_endpoint=URL))
    if how == "fetched":
        return build("vision", version, discoveryServiceUrl=URL + "/$discovery/rest?version={apiVersion}", static_discovery=False)
    with urllib.request.urlopen(f"{URL}/$discovery/rest?version={version}") as reply:
        return build_from_document(json.load(reply))


def main(how: str, version: str) -> dict[str, Any]:
    submitter, v1 = client(how, version), client(how, "v1")
    name = submitter.images().asyncBatchAnnotate(body=REQUEST).execute()["name"]
    operation: dict[str, Any] = {}
    while not operation.get("done"):
        operation = v1.projects().operations().get(name=name).execute()
    short = name[name.index("operations/") :]
    v1.operations().cancel(name=short, body={}).execute()
    pages = v1.operations().list(name="operations", pageSize=1, filter="done = true" + " AND done = true" * 200).execute()
    v1.operations().delete(name=short).execute()
    try:
        v1.operations().get(name=short).execute()
    except HttpError as error:
        return {"operation": operation, "listed": pages["operations"][0]["name"], "missing": [error.status_code, error.reason]}
    raise AssertionError("A deleted operation was found.")


print(json.dumps(main(*sys.argv[1:])))
