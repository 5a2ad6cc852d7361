"""The words of an import's error log: DynamoDB's own, without anybody's data."""

from __future__ import annotations

import pytest

from load.s3_import.error_log import _told


@pytest.mark.parametrize(
    ("message", "shown", "hidden"),
    [
        (
            '{"itemS3Pointer":{"bucket":"b","key":"a/1.json.gz","itemIndex":7},"importArn":"arn",'
            '"errorMessages":["One or more parameter values were invalid: Missing the key SK"]}',
            "a/1.json.gz, item 7: One or more parameter values were invalid: Missing the key SK",
            "arn",
        ),
        (
            '{"itemS3Pointer":{"bucket":"b","key":"a/1.json.gz","itemIndex":7},'
            '"errorMessages":["Unrecognized token \'Rossi\'","not a number: value: Bianchi"]}',
            "a/1.json.gz, item 7: Unrecognized token ",
            "Rossi",
        ),
        ('no JSON, but {"companyName": "Rossi"}', "no JSON, but ", "Rossi"),
        ("a value: Bianchi", "a value: ", "Bianchi"),
    ],
)
def test_an_entry_says_where_and_what_and_nothing_of_anybody(
    message: str, shown: str, hidden: str
) -> None:
    told = _told(message)
    assert told.startswith(shown)
    assert hidden not in told
    assert "Bianchi" not in told
