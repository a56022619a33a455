import re

import jsonschema_rs
import pytest

from serving.examples import ANSWERS, MODELS


@pytest.fixture
def schema(client) -> dict:
    return client.get("/openapi.json").json()


def operations(schema: dict):
    return (
        (f"{method} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    )


def test_every_route_says_what_it_does_and_who_is_refused(schema):
    for name, operation in operations(schema):
        assert operation["summary"], name
        assert operation["description"], name
        assert {"400", "403"} <= set(operation["responses"]), name
        probe = re.search(r" (/health/|/v2/health/|/ping$)", name)
        assert ("401" in operation["responses"]) == ("security" in operation) == (not probe), name
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_error_is_described_as_it_is(schema):
    error = {"$ref": "#/components/schemas/ErrorAnswer"}
    for name, operation in operations(schema):
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert answer["content"]["application/json"]["schema"] == error, (name, status)
    assert "ValidationError" not in str(schema)


def _examples(part: dict, schemas: dict) -> list:
    """Of a body or an answer: its own, or those of its model."""
    if "example" in part:
        return [part["example"]]
    if "examples" in part:
        return [example["value"] for example in part["examples"].values()]
    return schemas.get(part["schema"].get("$ref", "").rpartition("/")[2], {}).get("examples", [])


def test_every_json_has_an_example_that_its_schema_allows(schema):
    schemas = schema["components"]["schemas"]
    for name, operation in operations(schema):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for part in (b["content"]["application/json"] for b in bodies if _is_json(b)):
            examples = _examples(part, schemas)
            assert examples, name
            rooted = {**part["schema"], "components": schema["components"]}
            for example in examples:
                jsonschema_rs.validate(rooted, example)


def _is_json(body: dict) -> bool:
    return "application/json" in body.get("content", {})


def test_examples_show_every_field_and_no_other(schema):
    for name, example in MODELS.items():
        assert set(example) == set(schema["components"]["schemas"][name]["properties"]), name
    assert set(schema["paths"]) > set(ANSWERS)


def test_binary_bodies_say_how_to_send_them(schema):
    body = schema["paths"]["/classify"]["post"]["requestBody"]
    assert "curl --data-binary @" in body["description"]
