"""What the headers of a message say of its body and its connection, and those that a proxy removes or adds."""

from __future__ import annotations

from tornado.httputil import HTTPHeaders, HTTPServerRequest

_HOP_BY_HOP = (
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade",
)  # fmt: skip


def remove_hop_by_hop(headers: HTTPHeaders) -> None:
    """Remove the headers that concern a single connection (RFC 9110 §7.6.1), in place."""
    listed = ",".join(headers.get_list("Connection")).split(",")
    for name in (*_HOP_BY_HOP, *(name.strip() for name in listed)):
        headers.pop(name, None)


def add_forwarded_headers(request: HTTPServerRequest, headers: HTTPHeaders) -> None:
    """Add `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`, as a reverse proxy does.

    Arguments:
        request: of the visitor. What it says of proxies in front of us is kept.
        headers: of the request to the target; changed in place.
    """
    proxies = headers.get_list("X-Forwarded-For")
    headers["X-Forwarded-For"] = ", ".join([*proxies, request.remote_ip or "unknown"])
    headers.setdefault("X-Forwarded-Host", request.host)
    headers.setdefault("X-Forwarded-Proto", request.protocol)


def read_framing(headers: HTTPHeaders) -> dict[str, str]:
    """Return the one header that says how long a body is, or nothing where none says so.

    Raises:
        ValueError: headers contradict each other, so that the other side could see other messages than we do
            (RFC 9112 §11.2).
    """
    codings = [coding.lower() for coding in headers.get_list("Transfer-Encoding")]
    lengths = {length.strip() for each in headers.get_list("Content-Length") for length in each.split(",")}
    if codings:
        if codings != ["chunked"] or lengths:
            raise ValueError("the length of the body is given in two ways")
        return {"Transfer-Encoding": "chunked"}
    if not lengths:
        return {}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise ValueError("the length of the body is not one number")
    return {"Content-Length": length}


def closes(headers: HTTPHeaders) -> bool:
    """Whether the sender closes the connection after this message."""
    return "close" in [option.strip().lower() for option in ",".join(headers.get_list("Connection")).split(",")]


def can_be_repeated(request: HTTPServerRequest) -> bool:
    """Whether the request may be sent twice: its method changes nothing, and it has no body that is read only once."""
    return request.method in ("GET", "HEAD", "OPTIONS") and not _has_body(request)


def _has_body(request: HTTPServerRequest) -> bool:
    return "Transfer-Encoding" in request.headers or request.headers.get("Content-Length", "0") != "0"


def wanted_upgrade(request: HTTPServerRequest) -> str:
    """Return the protocol that the visitor wants to switch to, such as `websocket`; empty if none."""
    listed = ",".join(request.headers.get_list("Connection")).lower().split(",")
    wanted = request.headers.get("Upgrade", "")
    is_plain = request.method == "GET" and request.version == "HTTP/1.1" and not _has_body(request)
    return wanted if is_plain and "upgrade" in [name.strip() for name in listed] else ""
