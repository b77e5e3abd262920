"""google-cloud-vision of a version with transport="rest", unmodified: an operation and a refusal. Prints JSON."""

import importlib
import json
import os
import sys

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials

version = sys.argv[1]
vision = importlib.import_module(f"google.cloud.vision_{version}")
Transport = vision.ImageAnnotatorClient.get_transport_class("rest")
host = os.environ["VISION_EMULATOR_REST_URL"].removeprefix("http://")
client = vision.ImageAnnotatorClient(transport=Transport(host=host, url_scheme="http", credentials=AnonymousCredentials()))  # type: ignore[no-untyped-call]

features = [vision.Feature(type_=vision.Feature.Type.TEXT_DETECTION)]
image = vision.Image(source=vision.ImageSource(image_uri="gs://photos/a.png"))
operation = client.async_batch_annotate_images(
    vision.AsyncBatchAnnotateImagesRequest(
        **({"parent": "projects/p/locations/us"} if version == "v1" else {}),
        requests=[vision.AnnotateImageRequest(image=image, features=features)],
        output_config=vision.OutputConfig(gcs_destination=vision.GcsDestination(uri="gs://out/cloud/"), batch_size=7),
    )
)
result = operation.result(timeout=60)
name = operation.operation.name
again = client.get_operation({"name": name}) if version == "v1" else client.transport.operations_client.get_operation(name)
request = vision.AnnotateImageRequest(image=vision.Image(content=b"inline"), features=features)
online = client.batch_annotate_images(requests=[request])
try:
    client.batch_annotate_images(requests=[])
except exceptions.GoogleAPICallError as error:
    refused = [[each.__name__ for each in type(error).__mro__], error.message]
print(
    json.dumps(
        {
            "name": operation.operation.name,
            "batch_size": result.output_config.batch_size,
            "state": operation.metadata.state.name,
            "again": again.done,
            "online": online.responses[0].text_annotations[0].description,
            "refused": refused,
        }
    )
)
