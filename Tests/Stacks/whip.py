"""WHIP and WHEP as a client speaks them: plain HTTP around whatever WebRTC stack makes the offer."""

import asyncio
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urljoin


@dataclass
class Answer:
    status: int
    sdp: str
    headers: dict


def _request(method, url, body=None, headers=()):
    request = urllib.request.Request(url, data=body.encode() if body is not None else None, method=method)
    for name, value in dict(headers).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Answer(response.status, response.read().decode(), dict(response.headers))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(), dict(error.headers))


async def post_offer(url, sdp):
    return await asyncio.to_thread(_request, "POST", url, sdp, {"Content-Type": "application/sdp"})


async def open_session(url, sdp):
    """The answer's text and the session's address."""
    answer = await post_offer(url, sdp)
    assert answer.status == 201, f"{url}: {answer.status} {answer.sdp}"
    assert answer.headers["Content-Type"] == "application/sdp"
    return answer.sdp, urljoin(url, answer.headers["Location"])


async def end_session(location):
    answer = await asyncio.to_thread(_request, "DELETE", location)
    assert answer.status == 200, f"DELETE {location}: {answer.status} {answer.sdp}"


async def still_there(location):
    return (await asyncio.to_thread(_request, "GET", location)).status == 204
