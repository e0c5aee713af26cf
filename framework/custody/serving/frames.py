"""The bytes of a journal's segment: frames of a length, a CRC-32 and JSON. Pure.

A frame is 4 bytes of length and 4 of CRC-32, both little-endian, and the payload. The first frame of a segment says
whose predictions it holds, each later one is a list of predictions that were acknowledged together. What a killed
writer left at the end is no whole frame, and nothing in it was acknowledged.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from custody.domain.serving import Prediction, Promoted

_HEAD = struct.Struct("<II")
_LONGEST = 1 << 30


class FrameError(ValueError):
    """A segment does not begin as one; the message says why."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What one file of the journal holds. `damaged`: a frame in it is whole, and its bytes are not what was written."""

    promoted: Promoted
    predictions: tuple[Prediction, ...]
    damaged: bool = False


def frame(payload: bytes) -> bytes:
    """Return `payload` as one frame."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def header(promoted: Promoted) -> bytes:
    """Return the frame that a segment begins with."""
    return frame(_json(promoted.to_dict()))


def entry(predictions: Sequence[Prediction]) -> bytes:
    """Return the frame of predictions that are acknowledged together."""
    return frame(_json([item.to_list() for item in predictions]))


def read_segment(data: bytes) -> Segment | None:
    """Return what a segment holds, up to the first bytes that are no frame; None where it holds no whole header.

    Raises FrameError where it is whole and of another format.
    """
    payloads, end = [], 0
    for payload, end in _frames(data):  # noqa: B007 - the last end is used
        payloads.append(payload)
    if not payloads:
        return None
    try:
        promoted = Promoted.from_dict(json.loads(payloads[0]))
        found = [Prediction.from_list(item) for payload in payloads[1:] for item in json.loads(payload)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FrameError(f"{type(error).__name__}: {error}") from error
    return Segment(promoted, tuple(found), _whole(data, end))


def _frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield (payload, end) of each whole frame."""
    place = 0
    while len(data) >= place + _HEAD.size:
        length, crc = _HEAD.unpack_from(data, place)
        end = place + _HEAD.size + length
        payload = data[place + _HEAD.size : end]
        if not _whole(data, place) or zlib.crc32(payload) != crc:
            return
        yield payload, end
        place = end


def _whole(data: bytes, place: int) -> bool:
    """Whether a frame of the length that is told fits there; a length of nothing is a hole that a file system left."""
    if len(data) < place + _HEAD.size:
        return False
    length, _ = _HEAD.unpack_from(data, place)
    return bool(0 < length <= min(_LONGEST, len(data) - place - _HEAD.size))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
