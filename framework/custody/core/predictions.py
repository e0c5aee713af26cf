"""Predictions that are kept: their ids, the columns and the files of batches, and the record of one. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from custody.core.jsonfile import json_bytes, value_of
from custody.core.recording import SUBJECT, Source
from custody.digest import digest
from custody.domain.batch import Batch
from custody.domain.record import Kind, Record

ID, TIME, KEY, PREDICTION, PROBABILITY = "id", "time", "key", "prediction", "probability."
"""The columns of a batch, in this order; those of probabilities end in the class. The features follow."""
RANDOM = 10
"""Bytes of randomness in an id."""
_OWN = (ID, TIME, KEY, PREDICTION)
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MILLION = 10**6


def prediction_id(micros: int, random: bytes) -> str:
    """Return an id, a UUID of version 7: the milliseconds since 1970 of `micros`, then `RANDOM` random bytes."""
    value = (micros // 1000 & (1 << 48) - 1) << 80 | int.from_bytes(random[:RANDOM], "big")
    value = value & ~(0xF << 76) | 7 << 76
    text = f"{value & ~(3 << 62) | 2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moment_of(name: str) -> str | None:
    """Return the time to the millisecond that an id of ours says, ISO 8601 in UTC; None for one of another kind."""
    found = _UUID7.fullmatch(name)
    if found is None:
        return None
    try:
        return datetime.fromtimestamp(int(found[1] + found[2], 16) / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):
        return None


def feature_column(name: str) -> str:
    """Return the column of a batch that holds a feature: its own name, unless the batch has that for itself."""
    return f"feature.{name}" if name in _OWN or name.startswith((PROBABILITY, "feature.")) else name


def micros_of(moment: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _MILLION + since.microseconds


def moment(micros: int) -> str:
    """Return a time as batches and records hold it: ISO 8601, UTC, six digits of a second."""
    seconds, rest = divmod(micros, _MILLION)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat(timespec="microseconds")


def sketch(task: str, predictions: Iterable[Any]) -> dict[str, int]:
    """Return how many predictions are which class or, of numbers, begin with which digit: `3e1` holds 30 to below 40.

    Two of them add up exactly. Texts are as `text_of` in JSON: true, 3, pro.
    """
    words = (_cell(float(value)) for value in predictions) if task == "regression" else map(_text, predictions)
    return dict(sorted(Counter(words).items()))


def batch_id(model: str, run: str, root: str) -> str:
    """Return the id of a batch: the same rows of the same run make the same batch, whoever seals them and when."""
    return digest(["batch", model, run, root])[:16]


def batch_path(batch: Batch) -> str:
    """Return the file of a batch on the ledger."""
    return f"predictions/{batch.model}/{batch.period}/{batch.id}.json"


def decode_batch(data: bytes) -> Batch:
    """Read the file of a batch. Raises ValueError where it is none."""
    return value_of(batch_of, data)


def batch_of(value: Mapping[str, Any]) -> Batch:
    """Read a batch. Raises KeyError, TypeError or ValueError where it is none."""
    batch = Batch.from_dict(value)
    texts = (batch.id, batch.model, batch.run, batch.first, batch.last, batch.content, batch.root)
    if type(batch.rows) is not int or not all(isinstance(text, str) for text in texts):
        raise ValueError("a value of another type")
    return batch


def batch_trailers(batch: Batch) -> tuple[tuple[str, str], ...]:
    """Return the trailers that follow from the file of a batch.

    They don't name its run: a run has thousands of batches, and is no part of what came of one.
    """
    version = (("Version", batch.version),) if batch.version else ()
    counted = (("Rows", str(batch.rows)), ("First", batch.first), ("Last", batch.last))
    return (("Model", batch.model), *version, *counted, ("Content", batch.content), ("Root", batch.root))


def predictions_record(batch: Batch, source: Source) -> Record:
    """Return the fact that a batch was sealed."""
    rows = f"{batch.rows:,} prediction{'s' * (batch.rows != 1)}"
    subject = f"predictions {batch.model}: {rows} by {batch.version or batch.run[:8]} ({batch.source})"
    trailers = (*batch_trailers(batch), *source.trailers)
    files = {batch_path(batch): json_bytes(batch.to_dict())}
    return Record(batch.id, Kind.PREDICTIONS, subject[:SUBJECT], trailers, batch.model, files=files)


def _cell(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    digit, _, power = f"{abs(value):.17e}".partition("e")
    return f"{'-' if value < 0 else ''}{digit[0]}e{int(power)}"


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
