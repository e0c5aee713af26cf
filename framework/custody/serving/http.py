"""The HTTP interface: predictions, health, version and metrics. The home of Starlette.

Nothing of a request is logged. An answer is sent when its predictions are in the journal, on disk.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from custody.domain.serving import Promoted
from custody.errors import ContractError, CustodyError, StoreError
from custody.serving.metrics import CONTENT_TYPE, Metrics
from custody.serving.models import Answer, Models, Scorer, UnavailableError, UnknownModelError

_FEW = 200
"""Rows that are scored at once, between two other requests; more are scored in a thread."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest request: `size` bytes of `rows` rows."""

    size: int = 8 << 20
    rows: int = 10_000


class RequestError(CustodyError):
    """The request is none that can be answered; `status` is HTTP's."""

    def __init__(self, status: int, message: str, *, code: str) -> None:
        super().__init__(message, code=code)
        self.status = status


def application(models: Models, bounds: Bounds, about: Callable[[], Mapping[str, Any]]) -> Starlette:
    """Return the server's application; `about` says what runs here, for `/version`."""
    api = _Api(models, bounds, about)
    return Starlette(
        routes=[
            Route("/v1/models/{model}/predict", api.predict, methods=["POST"]),
            Route("/v1/models/{model}", api.model),
            Route("/health", api.health),
            Route("/ready", api.ready),
            Route("/version", api.version),
            Route("/metrics", api.metrics),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
    )


class _Api:
    def __init__(self, models: Models, bounds: Bounds, about: Callable[[], Mapping[str, Any]]) -> None:
        self._models = models
        self._bounds = bounds
        self._about = about
        self._metrics = Metrics()

    async def predict(self, request: Request) -> Response:
        began, name = time.perf_counter(), request.path_params["model"]
        try:
            response = await self._predict(name, request)
        except CustodyError as error:
            response = _refused(error)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the model's own code may raise anything; the server goes on
            response = _refused(CustodyError(f"the model failed: {type(error).__name__}", code="serve.failed"))
        known = name if name in self._models.names else "unknown"
        self._metrics.requests.labels(known, str(response.status_code)).inc()
        self._metrics.seconds.labels(known).observe(time.perf_counter() - began)
        return response

    async def _predict(self, name: str, request: Request) -> Response:
        scorer = self._models.scorer(name)
        rows = _rows(await self._body(request), self._bounds)
        answer = scorer.answer(rows) if len(rows) <= _FEW else await asyncio.to_thread(scorer.answer, rows)
        if kept := self._models.keep(name, scorer, answer):
            await asyncio.wrap_future(kept)
        self._metrics.predictions.labels(name, scorer.promoted.version).inc(len(rows))
        return _answered(scorer, answer)

    async def _body(self, request: Request) -> bytes:
        """Return the body; one that is too long is not read to its end."""
        told = request.headers.get("content-length", "")
        data = bytearray()
        if told.isascii() and told.isdigit() and int(told) > self._bounds.size:
            raise _too_large(self._bounds)
        async for piece in request.stream():
            data += piece
            if len(data) > self._bounds.size:
                raise _too_large(self._bounds)
        return bytes(data)

    async def model(self, request: Request) -> Response:
        try:
            promoted = self._models.scorer(request.path_params["model"]).promoted
        except CustodyError as error:
            return _refused(error)
        features = [{"name": name, "kind": kind} for name, kind in zip(promoted.features, promoted.kinds, strict=True)]
        schema = {"features": features, "key": promoted.key, "classes": list(promoted.classes)}
        return JSONResponse({**_facts(promoted), "task": promoted.task, **schema})

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        waiting = [name for name, promoted in self._models.serving().items() if promoted is None]
        return JSONResponse({"ready": not waiting, "waiting": waiting}, status_code=503 if waiting else 200)

    async def version(self, _: Request) -> Response:
        return JSONResponse(dict(self._about()))

    async def metrics(self, _: Request) -> Response:
        return Response(self._metrics.text(self._models.serving()), media_type=CONTENT_TYPE)


def _rows(data: bytes, bounds: Bounds) -> Sequence[Any]:
    try:
        value = json.loads(data, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise RequestError(400, f"the body is no JSON: {said}", code="request.json") from None
    rows = value.get("rows") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows or len(value) != 1:
        raise RequestError(422, 'the body must be {"rows": [{…}, …]}, with a row at least', code="request.shape")
    if len(rows) > bounds.rows:
        message = f"{len(rows):,} rows are more than {bounds.rows:,}: split them, or use custody predict"
        raise RequestError(413, message, code="request.rows")
    return rows


def _constant(name: str) -> None:
    raise ValueError(name)


def _too_large(bounds: Bounds) -> RequestError:
    return RequestError(413, f"the body has more than {bounds.size:,} bytes", code="request.size")


def _answered(scorer: Scorer, answer: Answer) -> Response:
    return JSONResponse({**_facts(scorer.promoted), "predictions": answer.told})


def _facts(promoted: Promoted) -> dict[str, Any]:
    names = ("model", "version", "run", "artifact")
    return {name: getattr(promoted, name) for name in names}


def _refused(error: CustodyError) -> Response:
    match error:
        case RequestError():
            status = error.status
        case UnknownModelError():
            status = 404
        case ContractError():
            status = 422
        case UnavailableError() | StoreError():
            status = 503
        case _:
            status = 500
    value = {"code": error.code, "message": error.message, "because": list(error.because), "help": list(error.help)}
    return JSONResponse({"error": value}, status_code=status)


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    message = f"{request.method} {request.url.path} is nothing that is served: POST /v1/models/MODEL/predict"
    return JSONResponse({"error": {"code": "request.path", "message": message}}, status_code=status)
