"""The fixtures of `world`. Where Beam is not installed, this folder is left out, and the report's header says so."""

from importlib.util import find_spec

if find_spec("apache_beam") is None:
    collect_ignore_glob = ["test_*.py"]

    def pytest_report_header() -> str:
        return "tests/beam is left out: apache-beam is not installed (pip install 'vision-grpc[beam]')"

else:
    from tests.beam.world import retries, world

    __all__ = ["retries", "world"]
