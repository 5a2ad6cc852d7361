"""Whether the bytes of records are texts that nothing is to be said of."""

from __future__ import annotations

from collections.abc import Sequence

from validate.rules.dynamodb_limits import MAX_ITEM_BYTES
from validate.rules.record_items import HUGE
from validate.rules.text_rules import may_be_damaged


def is_sound_text(record: Sequence[bytes]) -> bool:
    """Whether the lines are UTF-8, not too long, and without a trace of damage."""
    # In one piece it is quicker, unless that is a large one.
    texts = [b"".join(record)] if len(record) < HUGE else record
    if max(map(len, record)) > MAX_ITEM_BYTES or any(map(may_be_damaged, texts)):
        return False
    try:
        for text in texts:
            if not text.isascii():
                text.decode()
    except UnicodeDecodeError:
        return False
    return True
