"""What a job sees of the service through a client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.job_memory import Stage
from vision_grpc import ResultsError
from vision_grpc._job.service import ClientService
from vision_grpc.requests import image_requests


async def test_only_missing_results_are_an_error(tmp_path: Path) -> None:
    """A stale object beside whole ones is none; where results are missing, the error comes after those that are there."""
    stage = Stage(tmp_path)
    uris = [f"gs://photos/{index}.jpg" for index in range(4)]
    with ThreadPoolExecutor(1) as readers:
        async with stage.client() as client:
            config = {"gcs_destination": {"uri": "gs://out/run/"}, "batch_size": 2}
            await client.wait_operation(await client.async_batch_annotate(image_requests(uris, "text"), config))
            stage.objects.write("gs://out/run/output-1-to-3.json", b"{")
            service = ClientService(client, stage.objects, readers, 60.0)
            assert [result.uri async for part in service.results("gs://out/run/", uris) for result in part] == uris
            stage.objects.delete("gs://out/run/output-3-to-4.json")
            found = []
            with pytest.raises(ResultsError):
                async for part in service.results("gs://out/run/", uris):
                    found += [result.uri for result in part]
            assert found == uris[:2]
    stage.close()
