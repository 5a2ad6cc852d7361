"""What happens to the parties of a living S9: a step each."""

from __future__ import annotations

from tests.support.living.living_s9 import BUYER_KINDS, LivingS9


def insert_party(s9: LivingS9) -> None:
    """A new buyer or producer, whom a new sale may name."""
    kinds = s9.some_kinds()
    taken = [int(key) for (key,) in s9.rows("SELECT first_id FROM msg_anag")]
    s9.insert("msg_anag", s9.new_party(s9.key_for(taken), s9.chance.choice(kinds)))


def update_party(s9: LivingS9) -> None:
    """A field of a party: what its sales copy of it changes with it, or nothing of them does."""
    if (key := s9.a_party()) is None:
        return
    column, value = s9.chance.choice(
        [
            ("name", f"Viterie {s9.chance.randint(1, 99)} spa"),
            ("city", f"Forlì {s9.chance.randint(1, 99)}"),
            ("notes", f"nota {s9.chance.randint(1, 99)}"),
            ("updated_at", f"2026-02-03 04:05:{s9.chance.randint(10, 59)}"),
        ]
    )
    s9.set("msg_anag", key, **{column: value})


def update_all_parties(s9: LivingS9) -> None:
    """All parties of some kind move: the copies in all of their sales change."""
    kinds = s9.some_kinds()
    city = f"Cantù {s9.chance.randint(1, 99)}"
    s9.execute("UPDATE msg_anag SET city = %s WHERE kind IN (%s, %s)", city, kinds[0], kinds[-1])


def delete_unnamed_party(s9: LivingS9) -> None:
    """A party goes that no sale names."""
    if (key := s9.a_party_to_spare(lambda key: not s9.is_named(key))) is not None:
        s9.execute("DELETE FROM msg_anag WHERE first_id = %s", key)


def delete_named_party(s9: LivingS9) -> None:
    """A party goes, and its sales name nobody."""
    if (key := s9.a_party_to_spare(s9.is_named)) is not None:
        s9.execute("DELETE FROM msg_anag WHERE first_id = %s", key)


def delete_party_with_its_sales(s9: LivingS9) -> None:
    """A party goes, and its sales go with it."""
    if (key := s9.a_party_to_spare()) is None:
        return
    rows = s9.rows(
        "SELECT first_id FROM msg WHERE buyer_id = %s OR producer_id = %s ORDER BY 1", key, key
    )
    free = [int(sale) for (sale,) in rows if sale not in s9.held]
    if len(s9.sales(enabled=True)) - len(free) < 3:
        return
    for sale in free:
        s9.delete_sale(sale)
    s9.execute("DELETE FROM msg_anag WHERE first_id = %s", key)


def disable_party(s9: LivingS9) -> None:
    """A party is disabled."""
    if (key := s9.a_party_to_spare()) is not None:
        s9.set("msg_anag", key, enabled=False)


def enable_party(s9: LivingS9) -> None:
    """A disabled party is enabled again."""
    if (key := s9.a_party(enabled=False)) is not None:
        s9.set("msg_anag", key, enabled=True)


def change_party_key(s9: LivingS9) -> None:
    """A party gets another key, and its sales follow, or name the one that is no more."""
    if (key := s9.a_party_to_spare()) is None:
        return
    new = s9.key_for([int(each) for (each,) in s9.rows("SELECT first_id FROM msg_anag")])
    s9.set("msg_anag", key, first_id=new)
    if s9.chance.random() < 0.7:
        for sale in s9.sales():
            ((buyer, producer),) = s9.rows(
                "SELECT buyer_id, producer_id FROM msg WHERE first_id = %s", sale
            )
            changed = {name: new for name, of in _named(buyer, producer) if of == key}
            if changed:
                s9.set("msg", sale, **changed)


def change_kind(s9: LivingS9) -> None:
    """A buyer becomes a producer, or the reverse, or a buyer of the other kind."""
    if (key := s9.a_party_to_spare()) is not None:
        s9.set("msg_anag", key, kind=s9.chance.choice((1, *BUYER_KINDS)))


def spoil_party(s9: LivingS9) -> None:
    """A party becomes one that is refused, and its sales with it."""
    if (key := s9.a_party_to_spare()) is None:
        return
    column, value = s9.chance.choice([("country", "XQ"), ("name", "  ")])
    ((before,),) = s9.rows(f"SELECT {column} FROM msg_anag WHERE first_id = %s", key)
    s9.mended.setdefault(("msg_anag", key), (column, before))
    s9.set("msg_anag", key, **{column: value})


def heal_party(s9: LivingS9) -> None:
    """A party that was spoilt is as it was before."""
    there = {int(key) for (key,) in s9.rows("SELECT first_id FROM msg_anag")}
    spoilt = sorted(each for each in s9.mended if each[0] == "msg_anag" and each[1] in there)
    if spoilt:
        chosen = s9.chance.choice(spoilt)
        column, before = s9.mended.pop(chosen)
        s9.set("msg_anag", chosen[1], **{column: before})


def _named(buyer: object, producer: object) -> list[tuple[str, object]]:
    return [("buyer_id", buyer), ("producer_id", producer)]


PARTY_STEPS = (
    insert_party,
    update_party,
    update_all_parties,
    delete_unnamed_party,
    delete_named_party,
    delete_party_with_its_sales,
    disable_party,
    enable_party,
    change_party_key,
    change_kind,
    spoil_party,
    heal_party,
)
