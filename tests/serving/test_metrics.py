import asyncio
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.follower import Served
from tests.serving.asgi import Request
from tests.serving.bodies import npy, volumes
from tests.serving.folder_registry import URI


@pytest.fixture
def counted(client) -> Callable[..., float | None]:
    """The value of a series, as Prometheus reads it."""

    def value(series: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(client.get("/metrics").text)
        found = [
            s for family in families for s in family.samples if s.name == f"tomodistill_{series}"
        ]
        return next((s.value for s in found if s.labels == labels), None)

    return value


def test_requests_are_counted_by_route_status_and_reason(client, counted):
    assert client.post("/classify", content=npy(volumes(3))).status_code == 200
    assert client.post("/classify", content=npy(volumes(2))).status_code == 200
    assert client.post("/classify", content=b"hello").status_code == 400
    assert client.post("/classify", content=npy(volumes(1, box=28))).status_code == 422
    assert counted("classified_volumes_total") == 5
    assert counted("batch_volumes_sum") == 5
    assert counted("volumes_inside") == 0
    for status, count in (("200", 2), ("400", 1), ("422", 1)):
        labels = {"route": "/classify", "status": status}
        assert counted("request_seconds_count", **labels) == count
    assert counted("rejections_total", reason="malformed") == 1
    assert counted("rejections_total", reason="not_for_this_model") == 1
    for stage in ("read", "prepare", "queue", "compute"):
        assert counted("stage_seconds_count", stage=stage) >= 2
        assert counted("stage_seconds_sum", stage=stage) > 0


def test_a_client_that_left_is_counted_as_such(app, counted):
    async def ask() -> None:
        request = Request(app)
        request.leave()
        await request.task

    asyncio.run(ask())
    assert counted("request_seconds_count", route="/classify", status="499") == 1
    assert counted("rejections_total", reason="cancelled") == 1


def test_labels_stay_few_whatever_is_asked(client, counted):
    for number in range(20):
        client.get(f"/{number}")
        client.request(f"M{number}", "/classify")
    assert counted("request_seconds_count", route="none", status="404") == 20
    text = client.get("/metrics").text
    assert len({line.split("}")[0] for line in text.splitlines() if "_seconds_count{" in line}) < 5


def test_the_model_in_service_is_named(app, client, counted, classifiers, registry):
    facts = {"student": "s3", "engine": "keras", "precision": "float32"}
    facts["name"] = "subtomogram-student"
    assert counted("model_info", version="1", **facts) == 1
    registry.promote("2")
    app.state.service.follower.current = Served(classifiers["two"], registry.resolve(URI))
    assert counted("model_info", version="2", **facts) == 1
    assert counted("model_info", version="1", **facts) is None
    app.state.service.follower.current = None
    assert counted("model_info", version="2", **facts) is None


def test_the_process_is_measured_too(client):
    text = client.get("/metrics").text
    assert "process_resident_memory_bytes" in text
    assert "python_gc_collections_total" in text
