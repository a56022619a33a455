"""What those who run the service ask it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.work import service

router = APIRouter()


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Counts and times, as Prometheus reads them."""
    text = generate_latest(service(request).metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
