"""Health checking and reflection, served where their packages are installed (extra ``local``)."""

import grpc

from vision_grpc._gen import POOL, share


async def add_extras(server: grpc.aio.Server, services: list[str]) -> list[str]:
    """Adds grpc.health.v1.Health and server reflection; returns the names of the services that could be added."""
    added = []
    try:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    except ImportError:
        pass
    else:
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for name in ("", *services):
            await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        share(health_pb2)
        added.append(health.SERVICE_NAME)
    try:
        from grpc_reflection.v1alpha import reflection, reflection_pb2
    except ImportError:
        return added
    # Reflection answers from the private pool: the default one does not know our messages.
    share(reflection_pb2)
    added.append(reflection.SERVICE_NAME)
    reflection.enable_server_reflection([*services, *added], server, pool=POOL)
    return added
