"""Cuts a client's TCP connection. gRPC has no call for it, so the socket is looked up among this process's descriptors."""

import os
import socket
import stat
from pathlib import Path


def cut(peer: str) -> None:
    """Shuts the connection down whose far end is ``peer``, in gRPC's notation (``ipv4:127.0.0.1:40000``).

    Raises:
        OSError: this system does not list a process's descriptors (Linux and macOS do), or there is no such connection.
    """
    port = int(peer.rpartition(":")[2])
    found = False
    # Only a socket of ours has the client's port at its far end, also where the client lives in this very process.
    for entry in list(Path("/dev/fd").iterdir()):
        try:
            descriptor = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as duplicate:
                address = duplicate.getpeername()
                if isinstance(address, tuple) and address[1] == port:
                    duplicate.shutdown(socket.SHUT_RDWR)
                    found = True
        except OSError:
            # Descriptors come and go while they are listed, and not every socket is connected.
            continue
    if not found:
        raise OSError(f"No connection to {peer} was found to cut.")
