"""The private descriptor pool that every generated module of this package registers in.

protobuf allows one definition of a name in a pool. Were ``google.cloud.vision.v1`` registered in the process-wide
default pool, ``import google.cloud.vision`` would fail beside this package, and this package beside it. The modules
below this one are protoc's output, rewritten by ``scripts/generate.py`` to use :data:`POOL` instead. They are private:
the public doors are ``vision_grpc.v1``, ``vision_grpc.v1p4beta1`` and ``vision_grpc.v1p1beta1``.
"""

from types import ModuleType

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()


def share(module: ModuleType) -> None:
    """Copies the file that an installed generated module describes, and all that it imports, into POOL.

    The files that our protos import (google/api, google/rpc, google/type and protobuf's own) are not ours to ship: their
    definitions come from whatever googleapis-common-protos and protobuf are installed.
    """
    _copy(module.DESCRIPTOR)


def _copy(file: FileDescriptor) -> None:
    try:
        POOL.FindFileByName(file.name)
    except KeyError:
        for dependency in file.dependencies:
            _copy(dependency)
        POOL.AddSerializedFile(file.serialized_pb)
