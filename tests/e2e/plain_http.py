# SPDX-License-Identifier: BSD-3-Clause
"""HTTP on a Unix socket, by hand."""

import socket
from pathlib import Path


def request(sock: Path, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One HTTP request on a Unix socket, by hand: status code and body."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(str(sock))
        link.sendall(f"{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while part := link.recv(65536):
            answer += part
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        rest = unchunk(rest)
    return int(head.split()[1]), rest


def unchunk(body: bytes) -> bytes:
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        content += body[:length]
        body = body[length + 2:]
    return content
