"""What DynamoDB's answers look like, one declaration an operation: the only place that judges.

An answer of another shape is no answer (NoAnswer), whatever its status says: a proxy, a portal, a
test double or a service that is no DynamoDB has spoken, and nothing may be concluded from it. What
AWS always gives is required ("DynamoDB low-level API" and the API reference's response syntax,
with what the service was seen to do where the reference says "Required: No"); what it may leave
out must be of the right type where it is there. Further fields do no harm: AWS adds some.

moto and some older emulators leave out TableId: the time of creation tells tables apart, too. All
else that is required here ministack, moto, DynamoDB local and LocalStack give as AWS does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from math import isfinite
from typing import Any

import orjson

from utils.error_handler import BackOff

Answer = dict[str, Any]
Check = Callable[[Any], str]  # what is wrong with a value; "" when nothing is

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_NO_NUMBER = re.compile(rb'\{"N":"(?![-+]?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?"\})')
# DynamoDB allows 32 levels; services that allow more end where Python's own stack would.
_DEEPEST = 100
_SCALARS = (b'{"S":"', b'{"N":"', b'{"BOOL":true}', b'{"BOOL":false}', b'{"NULL":true}')


class NoAnswer(BackOff):
    """What came back is no answer of DynamoDB's to what was asked. It passes, or it does not."""

    def __init__(self, operation: str, problem: str) -> None:
        super().__init__("WrongAnswer", f"to {operation}: {problem}")
        self.what = problem


def check(operation: str, request: Mapping[str, Any], body: bytes) -> Answer:
    """The answer to a request, which has the shape that answers to it have. Raises NoAnswer."""
    answer = parsed(operation, body)
    problem = _SHAPES[operation](answer)
    if not problem and operation in _ASKED:
        problem = _ASKED[operation](request, answer)
    if not problem and "ReturnConsumedCapacity" in request and operation in _SAY_UNITS:
        problem = "" if "ConsumedCapacity" in answer else "ConsumedCapacity is missing"
    if not problem and "Items" in answer:
        problem = _items(body, answer)
    if problem:
        raise NoAnswer(operation, problem)
    return answer


def reader(operation: str, request: Mapping[str, Any]) -> Callable[[bytes], Answer]:
    """What makes an answer to `request` of a body; see `check`."""

    def read(body: bytes) -> Answer:
        return check(operation, request, body)

    return read


def parsed(operation: str, body: bytes) -> Answer:
    """A body that is a JSON object. Raises NoAnswer."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NoAnswer(operation, "it is not JSON") from error
    if type(answer) is not dict:
        raise NoAnswer(operation, "it is no JSON object")
    return answer


def consumed(operation: str, answer: Mapping[str, Any]) -> float:
    """The units that an answer says were consumed, which must have been asked for."""
    try:
        units = answer["ConsumedCapacity"]["CapacityUnits"]
    except (KeyError, TypeError) as error:
        raise NoAnswer(operation, "ConsumedCapacity is missing") from error
    if problem := _amount(units):
        raise NoAnswer(operation, f"ConsumedCapacity.CapacityUnits {problem}")
    return float(units)


def batch_written(body: bytes, table: str) -> tuple[float, list[Any]]:
    """What a BatchWriteItem to one table consumed, and which of its requests were not processed.

    Raises NoAnswer. Whether these requests were made is for the caller to see, who has them.
    """
    answer = parsed("BatchWriteItem", body)
    try:
        left = answer["UnprocessedItems"]
        (taken,) = answer["ConsumedCapacity"]
        units = taken["CapacityUnits"]
        good = taken["TableName"] == table and not _amount(units)
    except (KeyError, TypeError, ValueError) as error:
        name = "ConsumedCapacity" if "UnprocessedItems" in answer else "UnprocessedItems"
        raise NoAnswer("BatchWriteItem", f"{name} is not there as it was asked for") from error
    if not good:
        raise NoAnswer("BatchWriteItem", "ConsumedCapacity is of something else")
    if left == {} and type(left) is dict:
        return units, []
    if problem := _object({table: _list_of(_write_request, least=1)}, only=True)(left):
        raise NoAnswer("BatchWriteItem", f"UnprocessedItems {problem}")
    requests: list[Any] = left[table]
    return units, requests


def page_problem(around: Mapping[str, Any], count: int) -> str:
    """What is wrong with a page of a Scan that holds `count` items, but for its items."""
    problem = _PAGE(around)
    return problem or ("" if around["Count"] == count else "Count and Items do not agree")


def are_plain(items: bytes, count: int) -> bool:
    """Whether the text of a list of `count` items holds nothing but Strings, Numbers, flags, NULL
    and maps of DynamoDB JSON. False where that cannot be seen at a glance. What is in a map has
    to be looked at all the same.

    A quotation mark inside a text is escaped, so these openings are in no text; and `":` follows
    each name of an attribute and of a kind, or the count does not come out. No list is among them.
    """
    scalars, maps = sum(map(items.count, _SCALARS)), items.count(b'{"M":{')
    return (
        scalars + 2 * maps + count == items.count(b"{")
        and 2 * (scalars + maps) == items.count(b'":')
        and b'":[' not in items
        and _NO_NUMBER.search(items) is None
    )


def item_problem(item: Any) -> str:
    """What is wrong with an item; "" when it is an object of attribute values."""
    if type(item) is not dict or not item:
        return "is no item"
    return next((p for v in item.values() if (p := _value(v))), "")


def key_problem(item: Mapping[str, Any], names: Collection[str]) -> str:
    """What is wrong with an item's key, which has the attributes `names`."""
    for name in names:
        value = item.get(name)
        if type(value) is not dict or not value.keys() <= {"S", "N", "B"}:
            return f"has no key {name}"
    return ""


def require_keys(
    operation: str, items: Iterable[Mapping[str, Any]], names: Collection[str]
) -> None:
    """Raise NoAnswer unless every item has the key attributes of its table."""
    for item in items:
        if problem := key_problem(item, names):
            raise NoAnswer(operation, f"an item {problem}")


def error_of(operation: str, body: bytes) -> Answer:
    """The body of an error answer: its `__type`, its message, what else there is. Raises NoAnswer
    when it is none."""
    answer = parsed(operation, body)
    if problem := _ERROR(answer):
        raise NoAnswer(operation, problem)
    return answer


# ---------------------------------------------------------------------------------------------
# Checks of values
# ---------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return "" if type(value) is str and value else "is no text"


def _any_text(value: Any) -> str:
    return "" if type(value) is str else "is no text"


def _any_flag(value: Any) -> str:
    return "" if type(value) is bool else "is no flag"


def _text_or_none(value: Any) -> str:
    return "" if value is None or type(value) is str else "is no text"


def _count(value: Any) -> str:
    return "" if type(value) is int and value >= 0 else "is no number of things"


def _amount(value: Any) -> str:
    good = type(value) in (int, float) and value >= 0 and isfinite(value)
    return "" if good else "is no amount"


def _one_of(*allowed: str) -> Check:
    def one_of(value: Any) -> str:
        return "" if type(value) is str and value in allowed else f"is none of {', '.join(allowed)}"

    return one_of


def _object(
    always: Mapping[str, Check], maybe: Mapping[str, Check] | None = None, *, only: bool = False
) -> Check:
    """An object with these fields; `only`: and no others."""
    known = {**always, **(maybe or {})}

    def is_object(value: Any) -> str:
        if type(value) is not dict:
            return "is no object"
        for name, shape in known.items():
            if name not in value:
                if name in always:
                    return f"{name} is missing"
            elif problem := shape(value[name]):
                return f"{name} {problem}" if problem.startswith("is ") else f"{name}.{problem}"
        if only and value.keys() - known.keys():
            return "has what was not asked for"
        return ""

    return is_object


def _list_of(shape: Check, least: int = 0) -> Check:
    def is_list(value: Any) -> str:
        if type(value) is not list or len(value) < least:
            return "is no list"
        return next((f"is wrong: {p}" for each in value if (p := shape(each))), "")

    return is_list


def _value(value: Any, level: int = 0) -> str:
    """An attribute value: {"S": "…"} and so on (API reference, AttributeValue)."""
    if type(value) is dict and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind == "S" and type(inner) is str:
            return ""
        if kind in _KINDS and _KINDS[kind](inner):
            return ""
        nested = _nested(kind, inner)
        if nested is not None and level < _DEEPEST:
            return next((p for each in nested if (p := _value(each, level + 1))), "")
    return "is no attribute value"


def _nested(kind: str, inner: Any) -> Iterable[Any] | None:
    """The members of a list or map."""
    if kind == "L" and type(inner) is list:
        return inner
    return inner.values() if kind == "M" and type(inner) is dict else None


def _is_number(value: Any) -> bool:
    return type(value) is str and _NUMBER.fullmatch(value) is not None


def _is_binary(value: Any) -> bool:
    return type(value) is str and len(value) % 4 == 0 and _BASE64.fullmatch(value) is not None


def _set_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and bool(value) and all(map(good, value))


def _is_text(value: Any) -> bool:
    return type(value) is str


_KINDS: dict[str, Callable[[Any], bool]] = {
    "S": _is_text,
    "N": _is_number,
    "B": _is_binary,
    "BOOL": lambda value: type(value) is bool,
    "NULL": lambda value: value is True,
    "SS": _set_of(_is_text),
    "NS": _set_of(_is_number),
    "BS": _set_of(_is_binary),
}


def _key(value: Any) -> str:
    """A key as a request has it: scalar attribute values, at least one."""
    problem = item_problem(value)
    return problem or ("is no key" if key_problem(value, value.keys()) else "")


def _write_request(value: Any) -> str:
    if type(value) is not dict or len(value) != 1:
        return "is no request"
    return (_PUT if "PutRequest" in value else _DELETE)(value)


def _key_schema(value: Any) -> str:
    if problem := _list_of(_object({"AttributeName": _text, "KeyType": _KEY_TYPE}), 1)(value):
        return problem
    kinds = [part["KeyType"] for part in value]
    names = {part["AttributeName"] for part in value}
    return "" if "HASH" in kinds and len(names) == len(value) else "is no key schema"


def _items(body: bytes, answer: Answer) -> str:
    """Items of a Scan or Query that are objects of attribute values."""
    items = answer["Items"]
    start, end = body.find(b'"Items":['), body.rfind(b"}}]")
    flat = start >= 0 and b'{"M":{' not in body and all(map(_is_item, items))
    if flat and are_plain(body[start + 8 : end + 3], len(items)):
        return ""
    return next((f"an item {p}" for each in items if (p := item_problem(each))), "")


def _is_item(value: Any) -> bool:
    return type(value) is dict and bool(value)


def _table(value: Any) -> str:
    if problem := _TABLE(value):
        return problem
    defined = {each["AttributeName"] for each in value["AttributeDefinitions"]}
    described = [value, *value.get(_GSI, []), *value.get(_LSI, [])]
    keys = {part["AttributeName"] for each in described for part in each["KeySchema"]}
    return "" if keys <= defined else "is wrong: AttributeDefinitions lack a key attribute"


# ---------------------------------------------------------------------------------------------
# What depends on the request
# ---------------------------------------------------------------------------------------------


def _page_asked(request: Mapping[str, Any], answer: Answer) -> str:
    items = answer["Items"]
    if answer["Count"] != len(items):
        return "Count and Items do not agree"
    if answer.get("ScannedCount", len(items)) < len(items):
        return "ScannedCount and Items do not agree"
    start = request.get("ExclusiveStartKey")
    if start is not None and answer.get("LastEvaluatedKey") == start:
        return "LastEvaluatedKey is where the page began"
    return ""


def _item_asked(request: Mapping[str, Any], answer: Answer) -> str:
    item = answer.get("Item")
    same = item is None or all(item.get(n) == value for n, value in request["Key"].items())
    return "" if same else "Item is another one"


def _items_asked(request: Mapping[str, Any], answer: Answer) -> str:
    """BatchGetItem: every key that was asked for is found, unprocessed or not there; no other."""
    for table, asked in request["RequestItems"].items():
        keys = asked["Keys"]
        names = tuple(keys[0])
        wanted = {orjson.dumps([key[name] for name in names]) for key in keys}
        left = answer["UnprocessedKeys"].get(table, {}).get("Keys", [])
        found = answer["Responses"].get(table)
        if found is None and len(left) < len(keys):
            return f"Responses lack {table}"
        for each in [*(found or []), *left]:
            if not each.keys() >= set(names):
                return "an item has no key"
            key = orjson.dumps([each[name] for name in names])
            if key not in wanted:
                return "an item was not asked for, or is there twice"
            wanted.remove(key)
    asked_tables = request["RequestItems"].keys()
    others = (answer["Responses"].keys() | answer["UnprocessedKeys"].keys()) - asked_tables
    return "it is of a table that was not asked for" if others else ""


def _table_asked(request: Mapping[str, Any], answer: Answer) -> str:
    table = answer.get("Table") or answer["TableDescription"]
    return "" if table["TableName"] == request["TableName"] else "it is of another table"


_ASKED: dict[str, Callable[[Mapping[str, Any], Answer], str]] = {
    "Scan": _page_asked,
    "Query": _page_asked,
    "GetItem": _item_asked,
    "BatchGetItem": _items_asked,
    "DescribeTable": _table_asked,
    "CreateTable": _table_asked,
    "DeleteTable": _table_asked,
}

# ---------------------------------------------------------------------------------------------
# The shapes
# ---------------------------------------------------------------------------------------------

_GSI, _LSI = "GlobalSecondaryIndexes", "LocalSecondaryIndexes"
_KEY_TYPE = _one_of("HASH", "RANGE")
_PUT = _object({"PutRequest": _object({"Item": item_problem})}, only=True)
_DELETE = _object({"DeleteRequest": _object({"Key": _key})}, only=True)
_UNITS = _object({"CapacityUnits": _amount, "TableName": _text})
_THROUGHPUT = _object({"ReadCapacityUnits": _count, "WriteCapacityUnits": _count})
_INDEX = {
    "IndexName": _text,
    "KeySchema": _key_schema,
    "Projection": _object({"ProjectionType": _text}),
}
_TABLE = _object(
    {
        "TableName": _text,
        "TableStatus": _text,
        "TableArn": _text,
        "CreationDateTime": _amount,
        "ItemCount": _count,
        "KeySchema": _key_schema,
        "AttributeDefinitions": _list_of(
            _object({"AttributeName": _text, "AttributeType": _one_of("S", "N", "B")}), 1
        ),
    },
    {
        "TableId": _text,
        "Replicas": _list_of(_object({}, {"RegionName": _text})),
        _GSI: _list_of(
            _object({**_INDEX, "IndexStatus": _text}, {"ProvisionedThroughput": _THROUGHPUT})
        ),
        _LSI: _list_of(_object(_INDEX)),
        "ProvisionedThroughput": _THROUGHPUT,
        "BillingModeSummary": _object({}, {"BillingMode": _text}),
        "TableClassSummary": _object({}, {"TableClass": _text}),
    },
)
_PAGE_FIELDS = {"Count": _count}
_PAGE_MAY_HAVE = {"ScannedCount": _count, "LastEvaluatedKey": _key, "ConsumedCapacity": _UNITS}
_PAGE = _object(_PAGE_FIELDS, _PAGE_MAY_HAVE)
_ITEMS_PAGE = _object({"Items": _list_of(lambda _: ""), **_PAGE_FIELDS}, _PAGE_MAY_HAVE)
_WRITTEN = _object({}, {"ConsumedCapacity": _UNITS, "Attributes": item_problem})


def _tables_with(shape: Check) -> Check:
    def is_by_table(value: Any) -> str:
        if type(value) is not dict:
            return "is no object"
        return next((f"is wrong: {p}" for each in value.values() if (p := shape(each))), "")

    return is_by_table


_RECOVERY = _object(
    {"PointInTimeRecoveryStatus": _text},
    {"EarliestRestorableDateTime": _amount, "LatestRestorableDateTime": _amount},
)
_CONTINUOUS = _object(
    {
        "ContinuousBackupsDescription": _object(
            {"ContinuousBackupsStatus": _text}, {"PointInTimeRecoveryDescription": _RECOVERY}
        )
    }
)
_BACKUP = _object({"BackupArn": _text, "BackupStatus": _text})
# moto leaves out what was asked for, and the times.
_IMPORT = _object(
    {
        "ImportArn": _text,
        "ImportStatus": _text,
        "TableArn": _text,
    },
    {
        "TableId": _text,
        "S3BucketSource": _object({"S3Bucket": _text}, {"S3KeyPrefix": _text}),
        "CloudWatchLogGroupArn": _text,
        "ProcessedItemCount": _count,
        "ImportedItemCount": _count,
        "ErrorCount": _count,
        "ProcessedSizeBytes": _count,
        "FailureCode": _text_or_none,
        "FailureMessage": _text_or_none,
    },
)
_REASON = _object({"Code": _text}, {"Item": item_problem})
_ERROR = _object(
    {"__type": _text}, {"Item": item_problem, "CancellationReasons": _list_of(_REASON, 1)}
)

_SHAPES: dict[str, Check] = {
    "Scan": _ITEMS_PAGE,
    "Query": _ITEMS_PAGE,
    "GetItem": _object({"ConsumedCapacity": _UNITS}, {"Item": item_problem}),
    "BatchGetItem": _object(
        {
            "Responses": _tables_with(_list_of(item_problem)),
            "UnprocessedKeys": _tables_with(_object({"Keys": _list_of(_key, 1)})),
        }
    ),
    "BatchWriteItem": _object(
        {"UnprocessedItems": _tables_with(_list_of(_write_request, 1))},
        {"ConsumedCapacity": _list_of(_UNITS)},
    ),
    "PutItem": _WRITTEN,
    "DeleteItem": _WRITTEN,
    "UpdateItem": _WRITTEN,
    "TransactWriteItems": _object({"ConsumedCapacity": _list_of(_UNITS)}),
    "DescribeTable": _object({"Table": _table}),
    "CreateTable": _object({"TableDescription": _table}),
    "DeleteTable": _object({"TableDescription": _object({"TableName": _text})}),
    "DescribeTimeToLive": _object(
        {"TimeToLiveDescription": _object({"TimeToLiveStatus": _text}, {"AttributeName": _text})}
    ),
    "ListTagsOfResource": _object(
        {"Tags": _list_of(_object({"Key": _text, "Value": _any_text}))}, {"NextToken": _text}
    ),
    "DescribeContinuousBackups": _CONTINUOUS,
    "UpdateContinuousBackups": _CONTINUOUS,
    "CreateBackup": _object({"BackupDetails": _BACKUP}),
    "DescribeBackup": _object({"BackupDescription": _object({"BackupDetails": _BACKUP})}),
    "ImportTable": _object({"ImportTableDescription": _IMPORT}),
    "DescribeImport": _object({"ImportTableDescription": _IMPORT}),
    "ListImports": _object({"ImportSummaryList": _list_of(_IMPORT)}, {"NextToken": _text}),
    "UpdateTable": _object({"TableDescription": _object({"TableName": _text})}),
    "UpdateTimeToLive": _object({"TimeToLiveSpecification": _object({"Enabled": _any_flag})}),
}
# That nothing is there they say with an empty answer, unless they are asked what it took.
SAYS_LITTLE = frozenset({"GetItem"})
# Where it is asked for, these say what they took. Of BatchGetItem ministack does not.
_SAY_UNITS = _SHAPES.keys() - {"BatchGetItem"}
