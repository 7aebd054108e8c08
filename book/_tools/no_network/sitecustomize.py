"""Put on PYTHONPATH while chapters run: a chapter that reaches for the network fails.

Loopback stays open, because the kernel and local Dask workers talk over it.
"""

import ipaddress
import socket

_connect = socket.socket.connect


def _is_local(sock, address):
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = address[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def connect(self, address):
    if not _is_local(self, address):
        raise OSError(f"chapters run without the network; refused a connection to {address[0]!r}")
    return _connect(self, address)


socket.socket.connect = connect
