"""`docs/openapi.yaml` says what the bridge serves of Alertmanager's API v2."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from app.bridge.access.authorization import PERMISSIONS
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Client, with_bridge
from tests.unit.bridge.test_alert_routes import three

DOCUMENT = yaml.safe_load((Path(__file__).parents[3] / "docs" / "openapi.yaml").read_text())
METHODS = {"get", "post", "put", "delete"}
SILENCE = {"matchers": [{"name": "a", "value": "b"}], "endsAt": "1h", "annotations": {"t": "1"}}
NOBODY = "/api/v2/silence/0b3b4f3c-0000-4000-8000-000000000000"


def problems(method: str, path: str, status: int, answer: Any) -> list[str]:
    """What in an answer is not as the document says, of an operation that has the status."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    response = responses.get(str(status), responses["default"])
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(answer)]


def test_every_path_of_version_2_is_in_it() -> None:
    """And no other."""
    documented = {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in METHODS & set(operations)
    }

    assert documented == {key for key in PERMISSIONS if key[1].startswith("/api/v2/")}


@pytest.mark.parametrize(
    ("method", "path", "asked", "body", "status"),
    [
        ("GET", "/api/v2/status", "", None, 200),
        ("GET", "/api/v2/receivers", "", None, 200),
        ("GET", "/api/v2/alerts", "", None, 200),
        ("GET", "/api/v2/alerts", "?filter=%3D", None, 400),
        ("GET", "/api/v2/alerts", "?receiver_matchers=%3D", None, 400),
        ("GET", "/api/v2/alerts/groups", "", None, 200),
        ("POST", "/api/v2/alerts", "", [{"labels": {"a": "b"}, "annotations": None}], 200),
        ("POST", "/api/v2/alerts", "", [{"labels": {}}], 400),
        ("POST", "/api/v2/alerts", "", {}, 400),
        ("POST", "/api/v2/silences", "", SILENCE, 200),
        ("POST", "/api/v2/silences", "", SILENCE | {"endsAt": "soon"}, 400),
        ("POST", "/api/v2/silences", "", SILENCE | {"id": "nobody"}, 404),
        ("GET", "/api/v2/silences", "", None, 200),
        ("GET", "/api/v2/silences", "?active=maybe", None, 400),
    ],
)
def test_answers_are_as_it_says(method: str, path: str, asked: str, body: Any, status: int) -> None:
    """Status and body of what is taken and of what is refused."""
    given, answer = with_bridge(three(), lambda client: client.ask(method, path + asked, body))

    assert given == status
    assert problems(method, path, status, answer) == []


def test_one_silence_is_as_it_says() -> None:
    """Made, read, ended, read again, and one that there is not."""
    path = "/api/v2/silence/{id}"

    async def talk(client: Client) -> list[tuple[str, int, Any]]:
        _, made = await client.ask("POST", "/api/v2/silences", SILENCE)
        address = f"/api/v2/silence/{made['silenceID']}"
        asked = [("GET", address), ("DELETE", address), ("GET", address), ("GET", NOBODY)]
        asked.append(("DELETE", NOBODY))
        return [(method, *await client.ask(method, where)) for method, where in asked]

    answers = with_bridge(FakeLog(), talk)

    assert [status for _, status, _ in answers] == [200, 200, 200, 404, 404]
    assert [problems(method, path, *answer) for method, *answer in answers] == [[]] * 5


def test_a_team_has_no_labels() -> None:
    """A matcher that asks for one leaves nothing; one that takes an absent label leaves all."""
    paths = ("receivers", "alerts", "alerts/groups")

    async def talk(client: Client) -> list[list[int]]:
        return [
            [
                len((await client.ask("GET", f"/api/v2/{path}?receiver_matchers={matcher}"))[1])
                for path in paths
            ]
            for matcher in ("owner%3Dx", "owner!%3Dx")
        ]

    none, everything = with_bridge(three(), talk)

    assert none == [0, 0, 0]
    assert all(everything)
