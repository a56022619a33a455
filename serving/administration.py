"""What those who run the service can ask of it."""

import asyncio

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from serving.answers import ErrorAnswer, ModelVersion
from serving.work import service

router = APIRouter()


class Reloaded(BaseModel):
    """What the service's model URI points to serves."""

    model: ModelVersion
    changed: bool = Field(description="whether another version served before")


@router.post(
    "/reload",
    responses={503: {"model": ErrorAnswer, "description": "it does not serve; the reason"}},
)
async def reload(request: Request) -> Reloaded:
    """Look at once at what the service's model URI points to, and serve it.

    Also a version that did not load before, or was rolled back, is loaded again. The answer comes
    when it serves; with 503, whatever served before goes on.
    """
    own = service(request)
    changed = await asyncio.to_thread(own.follower.reload)
    if problem := own.follower.problem:
        raise HTTPException(503, problem)
    return Reloaded(model=ModelVersion.of(own.served()), changed=changed)
