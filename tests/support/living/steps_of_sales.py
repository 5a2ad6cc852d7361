"""What happens to the sales of a living S9 and to their lines: a step each."""

from __future__ import annotations

from tests.support.living.living_s9 import (
    BUYER_KINDS,
    DAYS,
    PRODUCER_KINDS,
    STATUSES,
    LivingS9,
)

TOO_LONG = "x" * 1_200  # for the gate, not for the transform


def insert_sale(s9: LivingS9) -> None:
    """A new sale with none to three lines, its number the next one, or any."""
    buyers, producers = s9.parties(BUYER_KINDS), s9.parties(PRODUCER_KINDS)
    taken = [int(key) for (key,) in s9.rows("SELECT first_id FROM msg")]
    if not buyers or not producers:
        return
    key, number = s9.key_for(taken), s9.chance.randint(1, 30)
    buyer, producer = s9.chance.choice(buyers), s9.chance.choice(producers)
    s9.insert("msg", s9.new_sale(key, buyer, producer, number, s9.chance.choice(DAYS)))
    for place in range(s9.chance.randint(0, 3)):
        s9.insert("msg_line", s9.new_line(s9.new_key(), key, place + 1))


def update_header(s9: LivingS9) -> None:
    """A field of a sale, with or without a new time of it."""
    if (key := s9.a_sale()) is None:
        return
    field, value = s9.chance.choice(
        [
            ("total", f"{s9.chance.randint(1, 900)}.{s9.chance.randint(10, 99)}"),
            ("subtotal", "12.20"),
            ("status", s9.chance.choice(STATUSES)),
            ("sale_date", str(s9.chance.choice(DAYS))),
            ("sale_number", s9.chance.randint(1, 30)),
            ("year", s9.chance.choice((None, 2024, 2025))),
            ("currency", s9.chance.choice(("EUR", "CHF", "USD"))),
            ("notes", f"nota {s9.chance.randint(1, 99)}"),
            ("doc_type", s9.chance.choice((None, "invoice", "proforma"))),
        ]
    )
    s9.set("msg", key, **{field: value}, **_perhaps_a_time(s9))


def reassign_sale(s9: LivingS9) -> None:
    """A sale gets another buyer, or another producer."""
    column, kinds = s9.chance.choice((("buyer_id", BUYER_KINDS), ("producer_id", PRODUCER_KINDS)))
    parties = s9.parties(kinds)
    if (key := s9.a_sale()) is not None and parties:
        s9.set("msg", key, **{column: s9.chance.choice(parties)})


def last_of_the_year(s9: LivingS9) -> None:
    """The last sale of a year gets another number or day, or another sale gets beyond it: the
    keys of others in the index of numbers change with it."""
    rows = s9.rows("SELECT first_id, sale_number, sale_date FROM msg WHERE enabled")
    year = s9.chance.choice(("2024", "2025"))
    free = [row for row in rows if str(row[2])[:4] == year and row[0] not in s9.held]
    if not free:
        return
    last = max(free, key=lambda row: (row[1] or 0, str(row[2]), row[0]))
    other = s9.chance.choice(sorted(free))
    do = s9.chance.randrange(3)
    if do == 0:
        s9.set("msg", last[0], sale_number=s9.chance.randint(1, 5))
    elif do == 1:
        s9.set("msg", last[0], sale_date=str(s9.chance.choice(DAYS)))
    else:
        s9.set("msg", other[0], sale_number=int(last[1] or 0) + s9.chance.randint(0, 2))


def delete_sale(s9: LivingS9) -> None:
    """A sale goes with its lines."""
    if (key := s9.a_sale_to_spare()) is not None:
        s9.delete_sale(key)


def delete_header_only(s9: LivingS9) -> None:
    """A sale goes, its lines stay without one; it may come back to them."""
    if (key := s9.a_sale_to_spare()) is not None:
        s9.gone += [(row, []) for row in s9.records("msg", "first_id", key)]
        s9.execute("DELETE FROM msg WHERE first_id = %s", key)


def come_back(s9: LivingS9) -> None:
    """A deleted sale is there again under its key, as it was or with another amount."""
    taken = {int(key) for (key,) in s9.rows("SELECT first_id FROM msg")}
    lines_there = {int(key) for (key,) in s9.rows("SELECT id FROM msg_line")}
    free = [each for each in s9.gone if int(each[0]["first_id"]) not in taken | s9.held]
    if not free:
        return
    sale, lines = s9.chance.choice(free)
    changed = {"total": "77.70"} if s9.chance.random() < 0.5 else {}
    s9.insert("msg", {**sale, **changed})
    for line in lines:
        if int(line["id"]) not in lines_there:
            s9.insert("msg_line", line)


def disable_sale(s9: LivingS9) -> None:
    """A sale is disabled."""
    if (key := s9.a_sale_to_spare()) is not None:
        s9.set("msg", key, enabled=False)


def enable_sale(s9: LivingS9) -> None:
    """A disabled sale is enabled again."""
    if (key := s9.a_sale(enabled=False)) is not None:
        s9.set("msg", key, enabled=True)


def change_sale_key(s9: LivingS9) -> None:
    """A sale gets another key, and its lines follow, or stay behind without a sale."""
    if (key := s9.a_sale_to_spare()) is None:
        return
    new = s9.key_for([int(each) for (each,) in s9.rows("SELECT first_id FROM msg")])
    s9.set("msg", key, first_id=new)
    if s9.chance.random() < 0.7:
        for line, _ in s9.lines(key):
            s9.set("msg_line", line, msg_id=new)


def spoil_sale(s9: LivingS9) -> None:
    """A sale becomes one that is refused: by the transform, the gate, or for want of its buyer."""
    if (key := s9.a_sale_to_spare()) is None:
        return
    column, value = s9.chance.choice(
        [("status", "archiviato"), ("notes", TOO_LONG), ("buyer_id", 99_999)]
    )
    ((before,),) = s9.rows(f"SELECT {column} FROM msg WHERE first_id = %s", key)
    s9.mended.setdefault(("msg", key), (column, before))
    s9.set("msg", key, **{column: value})


def heal_sale(s9: LivingS9) -> None:
    """A sale that was spoilt is as it was before."""
    there = set(s9.sales())
    spoilt = sorted(each for each in s9.mended if each[0] == "msg" and each[1] in there)
    if spoilt:
        chosen = s9.chance.choice(spoilt)
        column, before = s9.mended.pop(chosen)
        s9.set("msg", chosen[1], **{column: before})


def insert_line(s9: LivingS9) -> None:
    """A sale gets a line more; its header is not touched."""
    if (key := s9.a_sale()) is not None:
        new = s9.key_for([line for line, _ in s9.lines()])
        taken = {int(each) for (each,) in s9.rows("SELECT id FROM msg_line")}
        s9.insert(
            "msg_line",
            s9.new_line(s9.new_key() if new in taken else new, key, s9.chance.randint(1, 9)),
        )


def update_line(s9: LivingS9) -> None:
    """A field of a line; the header of its sale is not touched."""
    if (found := s9.a_line()) is None:
        return
    field, value = s9.chance.choice(
        [
            ("unit_price", f"{s9.chance.randint(1, 99)}.25"),
            ("quantity", s9.chance.randint(-3, 9)),
            ("product_description", f"Dado {s9.chance.randint(1, 99)}"),
            ("line_number", s9.chance.randint(1, 9)),
            ("discount", s9.chance.randint(0, 50)),
        ]
    )
    s9.set("msg_line", found[0], **{field: value}, **_perhaps_a_time(s9))


def delete_line(s9: LivingS9) -> None:
    """A line goes."""
    if (found := s9.a_line()) is not None:
        s9.execute("DELETE FROM msg_line WHERE id = %s", found[0])


def move_line(s9: LivingS9) -> None:
    """A line goes to another sale, keeping its key."""
    if (found := s9.a_line()) is not None and (to := s9.a_sale()) is not None:
        s9.set("msg_line", found[0], msg_id=to)


def change_line_key(s9: LivingS9) -> None:
    """A line gets another key."""
    if (found := s9.a_line()) is not None:
        s9.set("msg_line", found[0], id=s9.new_key())


def replace_lines(s9: LivingS9) -> None:
    """All lines of a sale go, and others come."""
    if (key := s9.a_sale()) is None:
        return
    for line, _ in s9.lines(key):
        s9.execute("DELETE FROM msg_line WHERE id = %s", line)
    for place in range(s9.chance.randint(1, 3)):
        s9.insert("msg_line", s9.new_line(s9.new_key(), key, place + 1))


def _perhaps_a_time(s9: LivingS9) -> dict[str, str]:
    if s9.chance.random() < 0.5:
        return {}
    return {"updated_at": f"2026-01-02 03:04:{s9.chance.randint(10, 59)}"}


SALE_STEPS = (
    insert_sale,
    update_header,
    reassign_sale,
    last_of_the_year,
    delete_sale,
    delete_header_only,
    come_back,
    disable_sale,
    enable_sale,
    change_sale_key,
    spoil_sale,
    heal_sale,
    insert_line,
    update_line,
    delete_line,
    move_line,
    change_line_key,
    replace_lines,
)
