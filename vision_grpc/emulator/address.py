"""Whether an address can be listened on, found out before gRPC tries it: its own words go to standard error and give no reason."""

import ipaddress
import os
import socket


def check_address(host: str, port: int) -> None:
    """Binds the address for an instant; nothing listens there.

    Raises:
        OSError: it cannot be bound; the sentence says why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:
        # A ValueError: the name cannot even be written as a domain name's.
        raise OSError(f"{host!r} is no address: nothing is known under that name.") from error
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":
                    # As gRPC does: connections that were closed a moment ago do not keep the port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            failure = failure or error
        else:
            # Like gRPC, which serves where it can: a machine without IPv6 has one of localhost's two addresses.
            return
    shown = written(host, port) if port else host
    raise OSError(f"{shown} cannot be bound: {failure.strerror if failure else 'the name has no address'}.") from failure


def written(host: str, port: int) -> str:
    """The address as one string, "127.0.0.1:8085" or "[::1]:8085"."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
