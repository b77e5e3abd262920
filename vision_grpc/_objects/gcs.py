"""Objects in Google Cloud Storage, through the official google-cloud-storage (extra ``gcs``), imported when first used."""

import base64
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision_grpc._objects.object import ObjectInfo, split_uri

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Client  # type: ignore[import-untyped]

_SECONDS_A_TRY = 60.0
_SECONDS_IN_ALL = 180.0
_PART = 8 << 20  # of a file on its way up; the library's own is 100 MiB


class GcsObjects:
    """gs:// URIs served by Google Cloud Storage.

    Credentials are the Application Default Credentials, with their quota project; ``STORAGE_EMULATOR_HOST`` (with its scheme)
    leads to an emulator, without credentials. Transient failures (429, 5xx, broken connections) are retried with growing
    pauses for up to three minutes: every call here can be repeated, since a write replaces the whole object by the same bytes.
    A download that ends early is resumed; one that differs from the stored length or CRC32C is refused.

    May be used from several threads, and in a process that forked: each process makes its own connections.

    Args:
        client: a ``google.cloud.storage.Client`` to use as it is, for credentials of your own. It is not closed here.
        project: the project that the client names; objects are found without one.

    Raises:
        ModuleNotFoundError: google-cloud-storage is not installed.
    """

    def __init__(self, client: "Client | None" = None, project: str | None = None) -> None:
        if client is None and not _installed():
            raise ModuleNotFoundError(
                "gs:// objects need google-cloud-storage: pip install 'vision-grpc[gcs]'.", name="google.cloud.storage"
            )
        self._given = client
        self._project = project
        self._made: tuple[int, Client] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return GcsObjects, (self._given, self._project)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yields the objects whose URI starts with prefix, ordered by name; pages are fetched as they are needed."""
        bucket, name = split_uri(prefix)
        with _os_errors(prefix):
            fields = "items(name,size),nextPageToken"
            blobs = self._client().list_blobs(bucket, prefix=name, fields=fields, timeout=_SECONDS_A_TRY, retry=_retry())
            for blob in blobs:
                yield ObjectInfo(f"gs://{bucket}/{blob.name}", blob.size)

    def read(self, uri: str) -> bytes:
        """Returns the whole content of the object, checked by length and CRC32C."""
        with _os_errors(uri):
            blob = self._blob(uri)
            data: bytes = blob.download_as_bytes(checksum="crc32c", timeout=_SECONDS_A_TRY, retry=_retry())
            # The library does not check what it resumed after a broken connection.
            if blob.crc32c and not blob.content_encoding and blob.crc32c != _crc32c(data):
                raise OSError(f"{uri} arrived damaged: its CRC32C is not that of the stored object.")
        return data

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Stores data as the object, whole or not at all; an object that exists is replaced."""
        with _os_errors(uri):
            self._blob(uri).upload_from_string(data, content_type=content_type, checksum="crc32c", timeout=_SECONDS_A_TRY, retry=_retry())

    def write_file(self, uri: str, path: Path, content_type: str = "application/octet-stream") -> None:
        """As `write`, of a file's content, which is read a part at a time."""
        with _os_errors(uri):
            blob = self._blob(uri)
            blob.chunk_size = _PART
            blob.upload_from_filename(path, content_type=content_type, checksum="crc32c", timeout=_SECONDS_A_TRY, retry=_retry())

    def exists(self, uri: str) -> bool:
        """Says whether the object exists."""
        with _os_errors(uri):
            return bool(self._blob(uri).exists(timeout=_SECONDS_A_TRY, retry=_retry()))

    def size(self, uri: str) -> int:
        """Returns the object's size in bytes."""
        with _os_errors(uri):
            blob = self._blob(uri)
            blob.reload(timeout=_SECONDS_A_TRY, retry=_retry())
            return int(blob.size)

    def _blob(self, uri: str) -> "Blob":
        bucket, name = split_uri(uri)
        if not name:
            raise PermissionError(f"{uri!r} is refused: it names a bucket and no object.")
        return self._client().bucket(bucket).blob(name)

    def _client(self) -> "Client":
        if self._given is not None:
            return self._given
        with self._lock:
            # Sockets must not be shared with the parent of a fork.
            if self._made is None or self._made[0] != os.getpid():
                from google.cloud.storage import Client

                emulator = os.environ.get("STORAGE_EMULATOR_HOST")
                if emulator and not emulator.startswith(("http://", "https://")):
                    raise ValueError(f"STORAGE_EMULATOR_HOST must begin with http:// or https://, not {emulator!r}")
                self._made = (os.getpid(), Client(project=self._project))
            return self._made[1]


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.storage") is not None
    except ModuleNotFoundError:
        return False


def _retry() -> "Retry":
    from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

    retry: Retry = DEFAULT_RETRY.with_timeout(_SECONDS_IN_ALL)
    return retry


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


@contextmanager
def _os_errors(uri: str) -> Iterator[None]:
    """Turns what google-cloud-storage raises into OSErrors that keep the service's words."""
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # type: ignore[import-untyped]

    try:
        yield
    except api.NotFound as error:
        raise FileNotFoundError(f"{uri} does not exist: {_words(error)}") from error
    except (api.Forbidden, api.Unauthorized) as error:
        raise PermissionError(f"{uri} may not be touched: {_words(error)}") from error
    except GoogleAuthError as error:
        raise PermissionError(f"{uri} needs Google credentials: {error}") from error
    except api.RetryError as error:
        raise OSError(f"{uri} failed for {_SECONDS_IN_ALL:g} seconds of tries: {error.cause}") from error
    except api.GoogleAPICallError as error:
        raise OSError(f"{uri} failed: {_words(error)}") from error
    except (InvalidResponse, DataCorruption, ValueError) as error:
        raise OSError(f"{uri} failed: {error}") from error
    except (AttributeError, LookupError, TypeError) as error:
        # The library stumbles over JSON of another shape than the service's, a proxy's say.
        raise OSError(f"{uri} failed: the answer is not that of Cloud Storage: {error}") from error


def _words(error: "GoogleAPICallError") -> str:
    """Returns the service's own words: the message of a JSON answer, or else the body of the answer."""
    body = error.response.text.strip() if error.response is not None else ""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):  # not JSON, or of another shape
        return body or str(error.message)
