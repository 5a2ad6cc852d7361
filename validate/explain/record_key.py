"""Which record is meant: S9's key, our id or partition key, or a running number with its year."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from utils.entities import ENTITIES, Shape, shape_at, shape_of
from utils.error_handler import ConfigurationError
from utils.wording.invocation import command
from utils.wording.masking import mask

_KEY = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"([0-9]{1,12})\s*/\s*([0-9]{4})")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True)
class AskedFor:
    """What was typed: exactly one of S9's key, a partition key, and a number with its year."""

    shape: Shape
    text: str
    key: int | None = None
    partition_key: str = ""
    number: tuple[int, int] | None = None


def asked_for(entity: str, text: str) -> AskedFor:
    """What `text` means of an entity. Raises ConfigurationError for what can mean nothing."""
    shape, said = shape_of(entity), text.strip()
    if _KEY.fullmatch(said):
        return AskedFor(shape, said, key=int(said))
    if found := _NUMBER.fullmatch(said):
        if shape.numbered:
            return AskedFor(shape, said, number=(int(found[1]), int(found[2])))
        numbered = next(each.name for each in ENTITIES if each.numbered)
        raise _wrong(f"{said} is a number with its year, and {entity} have none", numbered, said)
    if "#" in said:
        return _by_partition_key(shape, said)
    if _ID.fullmatch(said):
        return AskedFor(shape, said, _key_in(said, shape), f"{shape.prefix}{said}")
    raise ConfigurationError(
        f"{mask(said)} is no key of {entity}",
        remedy=f"name S9's key (12), our id or partition key ({shape.prefix}…)"
        + (", or the number with its year (12/2024)" if shape.numbered else ""),
    )


def _by_partition_key(shape: Shape, said: str) -> AskedFor:
    prefix, _, rest = said.partition("#")
    other = shape_at(said.upper()[: len(prefix) + 1])
    if other is None or not _ID.fullmatch(rest):
        raise ConfigurationError(
            f"{mask(said)} is no partition key of the Sale Module's",
            remedy=f"name one that begins with {shape.prefix}, or S9's key",
        )
    if other is not shape:
        raise _wrong(f"{said} is a {other.singular}", other.name, said)
    return AskedFor(shape, said, _key_in(rest, shape), f"{shape.prefix}{rest}")


def _wrong(what: str, entity: str, said: str) -> ConfigurationError:
    return ConfigurationError(what, remedy=f"type: {command(f'explain {entity} {said}')}")


def _key_in(record_id: str, shape: Shape) -> int | None:
    """The key that an id says in itself: SALE12 (transformation.generateIds)."""
    rest = record_id.upper().removeprefix(shape.singular.upper())
    return int(rest) if rest != record_id.upper() and _KEY.fullmatch(rest) else None


Look = Callable[[], "list[int]"]
"""Looks for the keys that are meant, in one place. Raises MigrationError."""


@dataclass(frozen=True)
class Searched:
    """Where it was looked for, and why that was in vain."""

    where: str
    why: str


def not_known(
    asked: AskedFor, searched: Iterator[Searched] | list[Searched], elsewhere: Sequence[str] = ()
) -> ConfigurationError:
    """The error for what nobody knows; `elsewhere` are the partition keys under which a
    verification has found something that bears the key that was asked for."""
    places = "".join(f"\n  - {each.where}: {each.why}" for each in searched)
    if elsewhere:
        listed = "".join(
            f"\n  - {command(f'explain {asked.shape.name} {key}')}" for key in elsewhere
        )
        return ConfigurationError(
            f"no {asked.shape.singular} {asked.text} is where it should be; it was looked for in:"
            f"{places}\nThe last verification has found it in the target under another key",
            remedy=f"ask for it by that:{listed}",
        )
    return ConfigurationError(
        f"nobody knows {asked.shape.singular} {asked.text}; it was looked for in:{places}",
        remedy="check the key: S9's own key of the row, our id or partition key"
        + (", or the running number with its year, as 12/2024" if asked.shape.numbered else ""),
    )


def several(asked: AskedFor, keys: list[int], where: str) -> ConfigurationError:
    """The error for a number that several records have."""
    listed = "".join(
        f"\n  - {command(f'explain {asked.shape.name} {key}')}" for key in sorted(keys)
    )
    return ConfigurationError(
        f"{len(keys)} {asked.shape.name} have the number {asked.text} in {where}",
        remedy=f"name one by its key in S9:{listed}",
    )
