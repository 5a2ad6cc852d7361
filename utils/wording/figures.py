"""Figures in sentences: "1 item stays", "1,250 items stay". A figure and its noun are written here
and nowhere else."""

from __future__ import annotations

from datetime import datetime

_SMALLEST = 0.0001  # of a price that is shown


def counted(count: int, one: str, many: str = "") -> str:
    """A number with what it counts: `one` after 1, else `many` (by default `one` with an s). Both
    may have a verb with them."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def counted_in(count: float, unit: str) -> str:
    """The same for a unit that is known by its plural: "1 item", "2,000 records"."""
    return counted(round(count), unit.removesuffix("s"), unit)


def moment_text(at: datetime) -> str:
    """A moment in UTC as `YYYY-MM-DDTHH:MM:SS.sssZ`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def costing(amount: float, currency: str) -> str:
    """A price, small ones as far as anything is to be seen of them: "12.30 USD", "0.0024 USD",
    "less than 0.0001 USD"."""
    if 0 < amount < _SMALLEST:
        return f"less than {_SMALLEST} {currency}"
    return f"{amount:,.2f} {currency}" if amount >= 1 or not amount else f"{amount:.4f} {currency}"


class Figure(int):
    """A number that a template can ask for its words: `{items:item is|items are}`, `{items:item}`;
    without them it has its commas."""

    def __format__(self, words: str) -> str:
        return counted(int(self), *words.split("|", 1)) if words else f"{int(self):,}"


def lasting(seconds: float) -> str:
    """A length of time in words: "2.1 s", "42 s", "4 min 05 s", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def on_a_clock(seconds: float) -> str:
    """A length of time as a clock has it: "00:07", "1:02:03"."""
    whole = int(max(seconds, 0))
    hours, minutes = divmod(whole // 60, 60)
    ahead = f"{hours}:" if hours else ""
    return f"{ahead}{minutes:02}:{whole % 60:02}"
