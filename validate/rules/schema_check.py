"""Whether items conform to their JSON Schemas (utils/schemas/*.json), and why not.

Two libraries read the same files: jsonschema-rs decides, because it is a hundred times faster;
jsonschema explains the few items that were refused, in words for an operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from utils.item_schemas import KINDS, VALUES, declared, schema
from utils.wording.masking import mask, veil
from validate.rules.catalogue import Note

Item = dict[str, Any]

_FILES = (*KINDS, VALUES)
_TYPE_NAMES = {"S": "a String (S)", "N": "a Number (N)", "BOOL": "a flag (BOOL)", "M": "a map (M)"}
_QUOTED_AT_MOST = 40
# Values of these forms are no personal data, but for one, so a message may quote what stands in
# their place.
_QUOTABLE = frozenset({"pattern", "format", "enum", "const"})
_PERSONAL = frozenset({"sdi"})
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_timestamp(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value.rstrip("Z")))


@cache
def decider(kind: str) -> Callable[[Item], bool]:
    """The function that tells whether an item (parsed DynamoDB JSON) conforms to its schema."""
    return _compiled({"$ref": schema(kind)["$id"]})


@cache
def record_decider() -> Callable[[Sequence[Item]], bool]:
    """The function that tells whether a sale and its lines all conform to their schemas.

    One call for all of them costs half of what a call for each would.
    """
    head, line = ({"$ref": schema(kind)["$id"]} for kind in ("sale", "sale_line"))
    return _compiled({"type": "array", "minItems": 1, "prefixItems": [head], "items": line})


def _compiled(document: dict[str, Any]) -> Callable[[Any], bool]:
    registry = jsonschema_rs.Registry([(schema(name)["$id"], schema(name)) for name in _FILES])
    validator = jsonschema_rs.Draft202012Validator(
        document,
        registry=registry,
        validate_formats=True,
        # Linear time whatever the text; the patterns use nothing that it lacks.
        pattern_options=jsonschema_rs.RegexOptions(),
    )
    decide: Callable[[Any], bool] = validator.is_valid
    return decide


def explain(kind: str, item: object) -> list[Note]:
    """Why an item does not conform to its schema: one note for each attribute, in item order.

    Empty exactly when `decider(kind)(item)` is true. No note quotes a personal value.
    """
    notes: dict[str, Note] = {}
    for error in _explainer(kind).iter_errors(item):
        for note in _notes(kind, error):
            notes.setdefault(note.field, note)
    if not notes and not decider(kind)(item):  # type: ignore[arg-type]
        return [Note("", "not-an-item", f"the item does not conform to {kind}.json")]
    return list(notes.values())


def _whole_pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    """JSON Schema's `$` is the end of the text, Python's also stands before a last line break."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"does not match {pattern}")


_Explainer: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _whole_pattern}
)


@cache
def _explainer(kind: str) -> Draft202012Validator:
    resources = [
        (schema(name)["$id"], DRAFT202012.create_resource(schema(name))) for name in _FILES
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return _Explainer(schema(kind), registry=registry, format_checker=_FORMATS)


def _notes(kind: str, error: ValidationError) -> Iterator[Note]:
    path = list(error.absolute_path)
    if not path:
        yield from _item_notes(kind, str(error.validator), error.instance)
    elif len(path) == 1:
        yield _type_note(kind, str(path[0]), error.instance)
    else:
        yield _value_note(str(path[0]), error)


def _item_notes(kind: str, keyword: str, item: Any) -> Iterator[Note]:
    """What is wrong with the item as a whole: attributes that lack or that nobody knows."""
    if keyword == "required":
        for name in schema(kind)["required"]:
            if name not in item:
                text = f"{name} is missing: {declared(kind)[name].title}"
                yield Note(name, "attribute-missing", text)
    elif keyword == "additionalProperties":
        for name in item:
            if name not in declared(kind):
                what = kind.replace("_", " ")
                yield Note(name, "attribute-unknown", f"{name} is not an attribute of a {what}")
    else:
        yield Note("", "not-an-item", "the line holds no item in DynamoDB JSON")


def _type_note(kind: str, name: str, found: Any) -> Note:
    expected = _TYPE_NAMES[declared(kind)[name].type]
    tags = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
    return Note(name, "attribute-type", f"{name} must be {expected}, found {tags or 'nothing'}")


def _value_note(name: str, error: ValidationError) -> Note:
    limit: Any = error.validator_value
    value: Any = error.instance
    if error.validator == "type":
        return Note(name, "attribute-type", f"{name} must hold {_described(error)}")
    if error.validator == "minLength":
        return Note(name, "attribute-length", f"{name} is empty")
    if error.validator == "maxLength":
        text = f"{name} has {len(value)} characters, the Sale Module takes {limit}"
        return Note(name, "attribute-length", text)
    shown = f"; it holds {_quoted(name, value)}" if error.validator in _QUOTABLE else ""
    return Note(name, "attribute-value", f"{name} must be {_described(error)}{shown}")


def _described(error: ValidationError) -> str:
    expected: Any = error.schema
    if error.validator == "enum":
        return "one of " + ", ".join(expected["enum"])
    described: str = expected["description"]
    return described


def _quoted(name: str, value: object) -> str:
    text = str(value)
    if name in _PERSONAL:
        return mask(text)
    if len(text) > _QUOTED_AT_MOST:
        return f"a text of {len(text)} characters"
    return f'"{veil(text)}"'
