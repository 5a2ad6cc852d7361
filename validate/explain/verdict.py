"""The verdict: one sentence, the exit code, and what to type. What is the same, different, kept or
the application's has been judged already, as verify judges it (validate/compare)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from utils.entities import Shape
from utils.error_handler import ExitCode
from utils.explain.stations import LoadedRecord, RowNow
from utils.files.quarantine import Refusal
from utils.findings.sentences import because
from utils.wording.figures import counted
from utils.wording.invocation import command
from validate.compare.comparison import Comparison
from validate.explain.differences import Since
from validate.explain.explained import AttributeDifference, Verdict
from validate.explain.target_record import TargetRecord

_FINE, _DIFFERS, _KEPT_OUT = ExitCode.DONE, ExitCode.VERIFICATION_FAILED, ExitCode.QUARANTINED
_BY_SOURCE = " --from-source"  # where no file of a load says what there should be
_NAMED = 4  # attributes that a sentence names


@dataclass(frozen=True)
class Known:
    """All that is known of a record; None where a station could not be asked, with the reason in
    `source_why`, `file_why`, `target_why`.

    `now` is what the row becomes (or why it is refused) as it is now; `file` are the lines of the
    transformed file, `refusals` the entries of the quarantine. `comparison` is the table against
    the file, or where there is none against what the row becomes now; `since` what S9 has changed
    since the extract. `who` is whoever has changed the record in the table last, as it may be
    shown.
    """

    shape: Shape
    name: str
    row: RowNow | None
    now: Sequence[bytes] | Refusal | None
    file: Sequence[bytes] | None
    refusals: Sequence[Refusal]
    loaded: LoadedRecord | None
    target: TargetRecord | None
    comparison: Comparison | None
    since: Since | None
    differences: Sequence[AttributeDifference]
    who: str
    source_why: str = ""
    file_why: str = ""
    file_next: str = ""
    target_why: str = ""

    @property
    def is_in_file(self) -> bool:
        return bool(self.file)

    @property
    def is_there(self) -> bool:
        """Whether the table has it as a record of this migration."""
        return self.target is not None and self.target.is_there and self.target.is_migrated


def verdict_of(known: Known) -> Verdict:
    """The verdict on a record that somebody knows."""
    verdict = _verdict_of(known)
    return replace(verdict, sentence=verdict.sentence[:1].upper() + verdict.sentence[1:])


def _verdict_of(known: Known) -> Verdict:
    if known.refusals:
        return _in_quarantine(known)
    if known.target is None:
        return _without_target(known)
    if known.is_in_file:
        return _of_loaded(known, known.target)
    return _not_in_file(known, known.target)


def _in_quarantine(known: Known) -> Verdict:
    first = known.refusals[0].findings[0]
    why = because(first.cause)
    reason = first.message + (f" (because {why})" if why and why not in first.message else "")
    sentence = f"{known.name} is in quarantine: {reason}"
    if known.is_there:
        sentence += "; the target has it from an earlier load"
    if isinstance(known.now, Refusal) or not known.now:
        then = f"correct it in S9 or the settings, then: {command('retry-quarantine')}"
        return Verdict("quarantined", _KEPT_OUT, sentence, then)
    return Verdict(
        "quarantined",
        _KEPT_OUT,
        f"{sentence}. As S9 has it now it could be converted",
        f"try it again: {command('retry-quarantine')}",
    )


def _without_target(known: Known) -> Verdict:
    if known.since is not None and known.since.any:
        return Verdict(
            "changed-in-source",
            _DIFFERS,
            f"S9 has changed {known.name} since the extract: {_changes(known)}. Whether it is in "
            f"the target cannot be said: {known.target_why}",
            _sync(),
        )
    if known.row is not None and known.row.reason and not known.is_in_file:
        return _not_selected(known)
    return Verdict(
        "unknown",
        _FINE,
        f"Whether {known.name} is in the target cannot be said: {known.target_why}",
    )


def _of_loaded(known: Known, target: TargetRecord) -> Verdict:
    """What is in the transformed file should be in the table."""
    comparison = known.comparison
    keys = comparison.keys if comparison else None
    if keys is not None and keys.kept.count:
        return Verdict(
            "kept",
            _KEPT_OUT,
            f"{known.name} was kept: the load has left it as the table has it (load.onConflict)"
            + (f"; changed by {known.who}" if known.who else ""),
        )
    if not target.is_there:
        return _absent(known)
    if keys is None or comparison is None:
        return _fine(known)
    if not keys.passed or not comparison.lines.passed:
        return _damaged(known)
    if keys.changed.count:
        return _by_the_application(known, target)
    return _since(known) or _fine(known)


def _absent(known: Known) -> Verdict:
    loaded = known.loaded
    if loaded is not None and loaded.undone == "done":
        return Verdict(
            "undone",
            _FINE,
            f"{known.name} is not in the target: its load (run {loaded.run}) was undone",
            f"to load again: {command('--full')}",
        )
    if loaded is None or not (loaded.may_be_sent or loaded.head):
        return Verdict(
            "not-loaded",
            _DIFFERS,
            f"{known.name} is ready and was not loaded yet",
            f"load it: {command('--resume')}",
        )
    if not loaded.complete and loaded.head is None:
        return Verdict(
            "not-loaded",
            _DIFFERS,
            f"{known.name} is not in the target: its load has begun and is not complete",
            f"see how it stands: {command('status')}",
        )
    return Verdict(
        "missing",
        _DIFFERS,
        f"{known.name} is missing from the target though it was loaded {_when(loaded)}",
        _repair(),
    )


def _when(loaded: LoadedRecord) -> str:
    if loaded.head is not None:
        return f"at {loaded.head.at}"
    return f"between {loaded.began} and {loaded.ended}" if loaded.ended else f"after {loaded.began}"


def _damaged(known: Known) -> Verdict:
    assert known.comparison is not None
    keys, lines = known.comparison.keys, known.comparison.lines
    parts = []
    if keys.different.count:
        parts.append(_names(known))
    if keys.missing.count:
        parts.append(counted(keys.missing.count, "item is missing", "items are missing"))
    if keys.extra.count:
        parts.append(counted(keys.extra.count, "item is only there", "items are only there"))
    if lines.different.entries and not parts:
        parts.append(str(lines.different.entries[0]))
    sentence = (
        f"{known.name} differs in the target: {'; '.join(filter(None, parts))}; nobody signed it"
    )
    return Verdict("different", _DIFFERS, sentence, _repair())


def _names(known: Known) -> str:
    """The attributes in which the table differs from what it should have, the first of them."""
    return _named(
        [
            each
            for each in known.differences
            if each.target != (each.file if known.is_in_file else each.source)
        ]
    )


def _named(differences: Sequence[AttributeDifference]) -> str:
    names = list(dict.fromkeys(each.attribute for each in differences))
    further = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + further


def _by_the_application(known: Known, target: TargetRecord) -> Verdict:
    after = _since(known)
    when = target.deleted or target.last[0]
    done = "deleted" if target.deleted else "changed"
    names = _names(known)
    what = f" ({names})" if names and not target.deleted else ""
    by = f" by {known.who}" if known.who else ""
    sentence = f"The application {done} {known.name} on {when}{by}{what}"
    if after is not None:
        return Verdict(
            "changed-on-both-sides", _DIFFERS, f"{sentence}. {after.sentence}", after.next
        )
    kind = "deleted-by-application" if target.deleted else "changed-by-application"
    return Verdict(kind, _FINE, f"{sentence}: that is no difference")


def _since(known: Known) -> Verdict | None:
    """What S9 has done with the record since the extract, if anything."""
    name, row = known.name, known.row
    if row is None:
        return None
    if not row.line and not row.reason:
        return Verdict(
            "removed-in-source",
            _DIFFERS,
            f"S9 does not have {name} any more; the target has it as it was loaded",
            _take_away(_BY_SOURCE),
        )
    if row.reason:
        return Verdict(
            "removed-in-source",
            _DIFFERS,
            f"S9 no longer selects {name} ({row.reason}); the target has it as it was loaded",
            _take_away(_BY_SOURCE),
        )
    if isinstance(known.now, Refusal):
        first = known.now.findings[0]
        return Verdict(
            "changed-in-source",
            _DIFFERS,
            f"S9 has changed {name} since the load, and as it is now it would be refused: "
            f"{first.message}",
            "correct it in S9",
        )
    if known.since is None or not known.since.any:
        return None
    return Verdict(
        "changed-in-source",
        _DIFFERS,
        f"S9 has changed {name} since the load: {_changes(known)}",
        _sync(),
    )


def _changes(known: Known) -> str:
    """What S9 has changed, the first of it with both values."""
    assert known.since is not None
    changed = [
        each
        for each in known.differences
        if each.source != each.file and each.sort_key in known.since.different
    ]
    parts = [
        f"{each.attribute} was {_or_empty(each.file)}, is {_or_empty(each.source)}"
        for each in sorted(changed, key=_is_stamp)[:1]
    ]
    further = len({(each.sort_key, each.attribute) for each in changed}) - len(parts)
    if further > 0:
        parts.append(f"and {counted(further, 'other attribute')}")
    for items, words in (
        (known.since.new, ("new item",)),
        (known.since.gone, ("item gone", "items gone")),
    ):
        if items:
            parts.append(counted(len(items), *words))
    if not parts:
        parts.append(counted(len(known.since.different), "item differs", "items differ"))
    return ", ".join(parts)


def _is_stamp(each: AttributeDifference) -> bool:
    return each.attribute in ("updatedAt", "updatedBy", "createdAt", "createdBy")


def _or_empty(text: str | None) -> str:
    return text or "empty"


def _fine(known: Known) -> Verdict:
    if known.row is None:
        return Verdict(
            "as-loaded",
            _FINE,
            f"{known.name} is in the target as it was extracted; whether S9 has changed it since "
            f"cannot be said: {known.source_why}",
        )
    return Verdict("as-in-source", _FINE, f"{known.name} is in the target as S9 has it")


def _not_in_file(known: Known, target: TargetRecord) -> Verdict:
    """It is not in the transformed file, or there is none: what S9 has now is what counts."""
    row, name = known.row, known.name
    if row is None:
        return _without_source(known)
    if row.reason or not row.line:
        return _not_to_be_there(known, target)
    if isinstance(known.now, Refusal):
        reason = known.now.findings[0].message
        return Verdict(
            "refused-now",
            _KEPT_OUT,
            f"{name} cannot be migrated as S9 has it now: {reason}",
            "correct it in S9 or the settings",
        )
    if target.is_there:
        return _against_source(known, target)
    if known.file is None:
        return Verdict(
            "missing", _DIFFERS, f"{name} is not in the target, and S9 has it", _repair(_BY_SOURCE)
        )
    return Verdict(
        "new-in-source",
        _DIFFERS,
        f"{name} is new in S9 since the extract, and not in the target",
        _load_it(),
    )


def _without_source(known: Known) -> Verdict:
    if not known.is_there:
        return Verdict(
            "unknown",
            _FINE,
            f"{known.name} is not in the target; whether it should be cannot be said: "
            f"{known.source_why}",
        )
    where = known.file_why or "it is in no transformed file"
    return Verdict(
        "unknown",
        _FINE,
        f"{known.name} is in the target; whether it is as S9 has it cannot be said: "
        f"{known.source_why}, and {where}",
    )


def _against_source(known: Known, target: TargetRecord) -> Verdict:
    """Without a file, what the row becomes now is compared with the table."""
    comparison = known.comparison
    if comparison is None:
        return _fine(known)
    if not comparison.keys.is_undamaged or not comparison.lines.passed:
        return Verdict(
            "different",
            _DIFFERS,
            f"{known.name} differs between S9 and the target: {_names(known) or 'items of it'}; "
            "which of them has changed cannot be said without the file that was loaded",
            f"compare all: {command(f'--phase verify{_BY_SOURCE}')}",
        )
    if comparison.keys.behind.count:
        return Verdict(
            "changed-in-source",
            _DIFFERS,
            f"S9 has changed {known.name} since it was written to the target, by S9's own times: "
            f"{_names(known)}",
            _sync(),
        )
    if comparison.keys.changed.count:
        return _by_the_application(known, target)
    return _fine(known)


def _not_to_be_there(known: Known, target: TargetRecord) -> Verdict:
    assert known.row is not None
    if known.is_there and not target.deleted:
        why = (
            f"S9 does not select it ({known.row.reason})"
            if known.row.reason
            else "S9 does not have it"
        )
        return Verdict(
            "only-in-target",
            _DIFFERS,
            f"{known.name} is only in the target: {why}",
            _take_away("" if known.file is not None else _BY_SOURCE),
        )
    if target.is_there and not target.is_migrated:
        return Verdict(
            "of-the-application",
            _FINE,
            f"{known.name} is the application's own: it does not come from S9",
        )
    return _not_selected(known)


def _not_selected(known: Known) -> Verdict:
    reason = known.row.reason if known.row else ""
    return Verdict(
        "not-selected", _FINE, f"{known.name} is not selected: {reason or 'S9 has none'}"
    )


def _sync() -> str:
    full = command("--full")
    return f"to bring the target up to it, set load.onConflict to newer or overwrite, then: {full}"


def _load_it() -> str:
    return f"to bring the target up to it: {command('--full')}"


def _take_away(how: str = "") -> str:
    """A load takes nothing away."""
    return f"take away all that is only there: {command(f'--phase verify{how} --repair-extra')}"


def _repair(how: str = "") -> str:
    return f"repair it: {command(f'--phase verify{how} --repair')}"
