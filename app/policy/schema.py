"""`tocsin policy schema`: the JSON Schema of policies, and of their tests, for editors; generated from the models.

It takes what the loader takes. What it cannot say, such as that a name has to be declared somewhere
else, `policy check` says.
"""

import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from models.policy.types import BY_SEVERITY_SCHEMA, DURATION_SCHEMA, MATCHER_SCHEMA, SELECTOR_SCHEMA
from models.severity import Severity

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMED = {
    "Duration": DURATION_SCHEMA,
    "DurationBySeverity": BY_SEVERITY_SCHEMA,
    "Matcher": MATCHER_SCHEMA,
    "Selector": SELECTOR_SCHEMA,
}
# A field, and the comment above or behind it.
_FIELD = re.compile(r"^(?:    # (.+)\n)?    (\w+): [^#\n]*?(?:  # (.+))?$", re.MULTILINE)


def schema_text(model: type[BaseModel]) -> str:
    """The schema as a file has it."""
    return json.dumps(model_schema(model), indent=2, ensure_ascii=False) + "\n"


def model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model."""
    schema = model.model_json_schema(schema_generator=_TitlelessGenerator)
    definitions = schema.setdefault("$defs", {})
    named = {name: json.loads(json.dumps(entry)) for name, entry in NAMED.items()}
    for name, item in named.items():
        _insert_reference(schema, name, item)
        for other in named.values():
            if other is not item:
                _insert_reference(other, name, item)
        if f'#/$defs/{name}"' in json.dumps([schema, *named.values()]):
            definitions[name] = item
    for part, where in [
        (model, schema),
        *((entry, definitions.get(entry.__name__)) for entry in _component_models(model)),
    ]:
        if where is not None:
            _describe_fields(part, where)
    _close_mapping(schema)
    return {"$schema": DIALECT, "title": f"Tocsin: {model.__name__}", **schema}


def _insert_reference(part: Any, name: str, definition: dict[str, Any]) -> None:
    """Put a reference wherever the definition stands written out, so that the schema can be read."""
    if isinstance(part, list):
        for item in part:
            _insert_reference(item, name, definition)
    elif isinstance(part, dict):
        for item in part.values():
            _insert_reference(item, name, definition)
        if all(part.get(key) == value for key, value in definition.items()):
            for key in definition:
                del part[key]
            part["$ref"] = f"#/$defs/{name}"


class _TitlelessGenerator(GenerateJsonSchema):
    """Pydantic's, without the titles that only repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's signature
        return False


def _component_models(
    model: type[BaseModel], known: set[type] | None = None
) -> Iterator[type[BaseModel]]:
    """The models that a model is made of, each once."""
    known = {model} if known is None else known
    for field in model.model_fields.values():
        for item in _models_in(field.annotation):
            if item not in known:
                known.add(item)
                yield item
                yield from _component_models(item, known)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for item in getattr(annotation, "__args__", ()):
        yield from _models_in(item)


def _describe_fields(model: type[BaseModel], where: dict[str, Any]) -> None:
    """What stands beside a field in the code is what an editor shows of it."""
    alternatives = [where, *where.get("anyOf", ())]
    properties: dict[str, Any] = next(
        (alternative["properties"] for alternative in alternatives if "properties" in alternative),
        {},
    )
    for name, field in model.model_fields.items():
        comment = _field_comment(model, name)
        item = properties.get(field.alias or name)
        if comment and item is not None:
            item["description"] = comment


def _field_comment(model: type[BaseModel], name: str) -> str:
    for item in model.__mro__:
        comments = (
            _class_comments(item).get(name, "")
            if name in vars(item).get("__annotations__", {})
            else ""
        )
        if comments:
            return comments[0].upper() + comments[1:]
    return ""


@cache
def _class_comments(item: type) -> dict[str, str]:
    """What stands beside the fields that a class declares.

    Of a name that stands there twice, the first.
    """
    try:
        source = inspect.getsource(item)
    except (OSError, TypeError):  # there are only compiled modules
        return {}
    comments = [(match[2], match[3] or match[1]) for match in _FIELD.finditer(source)]
    return {name: text for name, text in reversed(comments) if text}


def _close_mapping(part: Any) -> None:
    """Say names of severities as properties, which editors complete, and that other names than those said are mistakes."""
    if isinstance(part, list):
        for item in part:
            _close_mapping(item)
    elif isinstance(part, dict):
        if part.get("propertyNames") == {"$ref": "#/$defs/Severity"}:
            value = part.pop("additionalProperties")
            del part["propertyNames"]
            part["properties"] = {str(severity): value for severity in Severity}
            part["additionalProperties"] = False
        if "patternProperties" in part:
            part["additionalProperties"] = False
        if "$ref" in part:
            part.pop("gt", None)  # pydantic's own word, beside a schema that we wrote
        if isinstance(part.get("title"), str):
            del part["title"]  # it only repeats a name
        for item in part.values():
            _close_mapping(item)
