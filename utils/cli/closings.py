"""Every sentence with which a command can end, and when it does: they are data.

`said` fills one in; nothing else writes a last line. docs/messages.md is made of the declarations
(`python -m tests.support.documents.messages_doc`), and a test brings about every one of them.

A run's last line is an opening with the reasons that apply, in their order.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass

from utils.error_handler import ExitCode
from utils.wording.figures import Figure, counted

_COUNTED = re.compile(r"\{(\w+):([^{}|]*)(?:\|([^{}]*))?\}")
_DONE, _KEPT_OUT = ExitCode.DONE, ExitCode.QUARANTINED
_DIFFERENT = ExitCode.VERIFICATION_FAILED


@dataclass(frozen=True)
class Closing:
    """A last line, or a part of one. `words` has names in braces for what differs from time to
    time, and a figure has its noun there (utils/wording/figures.py); `codes` are the exit codes
    with which it is said, `when` is the situation in a sentence.
    """

    name: str
    codes: tuple[ExitCode, ...]
    words: str
    when: str

    @property
    def plain(self) -> str:
        """The words as they are for many, for people."""
        return _COUNTED.sub(lambda said: f"{{{said[1]}}} {said[3] or said[2] + 's'}", self.words)

    @property
    def pattern(self) -> str:
        """A regular expression for every text that the words can become."""
        parts = string.Formatter().parse(self.words)
        return "".join(re.escape(text) + _pattern(field, words) for text, field, words, _ in parts)


def _pattern(field: str | None, words: str | None) -> str:
    if field is None:
        return ""
    if not words:
        return "(?:.|\n)*"
    nouns = {counted(number, *words.split("|", 1)).partition(" ")[2] for number in (1, 2)}
    return f"[0-9,]+ (?:{'|'.join(map(re.escape, nouns))})"


def _closing(name: str, codes: ExitCode | Iterable[ExitCode], words: str, when: str) -> Closing:
    codes = (codes,) if isinstance(codes, ExitCode) else tuple(codes)
    return Closing(name, codes, words, when)


OPENINGS = (
    _closing(
        "arrived",
        _DONE,
        "Done: every record arrived.",
        "All phases are done, verify has found every record in the target, nothing is in "
        "quarantine and nothing was kept.",
    ),
    _closing(
        "arrived-but",
        (_DONE, _KEPT_OUT),
        "Done, with exceptions: {reasons}",
        "All phases are done, and verify has found everything that the load was to write; the "
        "reasons say what it was not to write. Code 0 if every item of S9 is in a table "
        "nevertheless.",
    ),
    _closing(
        "loaded",
        (_DONE, _KEPT_OUT),
        "Loaded, but not verified{reasons}. Verify: {verify}",
        "All phases but verify are done: `migration.validateAfterLoad` is false, or the target "
        "was changed by a later command.",
    ),
    _closing(
        "part-verified",
        (_DONE, _KEPT_OUT),
        "Verified {entities}: what was loaded is there{reasons}. Not verified: {others}: {next}",
        "A verify phase by hand found nothing wrong with some entities; others were not verified.",
    ),
    _closing(
        "as-in-source",
        (_DONE, _KEPT_OUT),
        "Verified {entities} by S9 itself, as it was at {moment}: the target holds everything"
        "{reasons}",
        "`--phase verify --from-source` has read S9 again and found all of it in the target.",
    ),
    _closing(
        "phase-done",
        (_DONE, _KEPT_OUT),
        "Phase {phase} is done for {entities}{reasons}. Next: {next}",
        "Any phase by hand except the last.",
    ),
    _closing(
        "planned",
        (_DONE, _KEPT_OUT),
        "Planned: nothing was written to the target. The migration would end with exit code "
        "{code}{sample}: {meaning}{reasons}. To do it: {full}",
        "A dry run has come to its end, and nothing is in the way of the migration.",
    ),
    _closing(
        "planned-obstacles",
        (
            ExitCode.FAILED,
            ExitCode.USAGE,
            ExitCode.VALIDATION_FAILED,
            ExitCode.VERIFICATION_FAILED,
        ),
        "Planned: nothing was written to the target. The migration would end with exit code "
        "{code}{sample}: {meaning}. Do what is listed above, then look again: {again}",
        "A dry run has come to its end, and the migration would not: what to do is listed before "
        "the last line, causes first.",
    ),
    _closing(
        "set-aside",
        ExitCode.FAILED,
        "Not everything was migrated: {why}. Fix the cause, then run: {again}",
        "With `migration.continueOnError`, an entity failed as a whole and the others went on.",
    ),
    _closing(
        "refused-by-validation",
        ExitCode.VALIDATION_FAILED,
        "Stopped before the load: validation found errors (see {report}). Fix them in S9, then: "
        "{start_over}; or set migration.continueOnError, which puts records with errors into "
        "quarantine",
        "Validation found errors, and `migration.continueOnError` is not set.",
    ),
    _closing(
        "refused-by-validation-all-the-same",
        ExitCode.VALIDATION_FAILED,
        "Stopped before the load: validation found errors that quarantine does not solve (see "
        "{report}). Fix what it names, then: {start_over}",
        "Validation found errors although `migration.continueOnError` is set: their cause is not "
        "in single records.",
    ),
    _closing(
        "differs",
        ExitCode.VERIFICATION_FAILED,
        "The target differs from S9 (see {report}): {differences}. {remedy}",
        "Verify has found differences; the remedy is one of those below.",
    ),
)

REASONS = (
    _closing(
        "kept",
        (_DONE, _KEPT_OUT),
        "{kept:item stays as it is|items stay as they are} in the tables (listed in {lists})",
        "`load.onConflict` kept them, or the application changed them while the load was at work.",
    ),
    _closing(
        "kept-out",
        _KEPT_OUT,
        "{absent:item of S9 is in no table, because its record stays as it is there|items of S9 "
        "are in no table, because their records stay as they are there} (listed in {lists}): "
        "enter {them} in the Sale Module, or let S9 win with load.onConflict overwrite",
        "A record was kept that has more in S9 than in the table: a new line, mostly.",
    ),
    _closing(
        "in-quarantine",
        _KEPT_OUT,
        "{refused:record is|records are} in {quarantine}; fix {them} in S9, then: {retry}",
        "Records were refused by transform, validation or DynamoDB.",
    ),
    _closing(
        "held-in-quarantine",
        _KEPT_OUT,
        "{refused:record is|records are} in {quarantine}",
        "The same, if something else is to be typed next.",
    ),
)

NOTES = (
    _closing(
        "changed-since",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "The application has changed, deleted or added {changed:item} of migrated records since "
        "they were loaded (listed in {report}): this is not a difference.",
        "Verify has found items with a later change by somebody else.",
    ),
    _closing(
        "in-use",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "The tables are in use. A browser that keeps its own copy asks only for what has changed "
        "since it last asked, and these records keep the times that S9 gives them: its user sees "
        'them after a full synchronisation. With transformation.updatedAt: "migration" they '
        "come with the next one.",
        "Something was loaded into tables that also hold items of others.",
    ),
    _closing(
        "in-use-by-now",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "The tables are in use. Users who keep a copy in the browser see these records after the "
        "next synchronisation.",
        "The same, with `transformation.updatedAt` set to `migration`.",
    ),
    _closing(
        "new-tables",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "These tables are new. What points the Sale Module at them, when it is to use them: "
        "{lines}",
        "Tables were made and filled by an import from S3 (`load.method`).",
    ),
    _closing(
        "numbers-held",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "The Sale Module may reuse a number that S9 has given: the sale with the highest number "
        "of its year ({numbers}) is in quarantine. Until it is fixed and loaded, create no sale "
        "of that year there.",
        "Transform, validation or DynamoDB has refused the last sale of this year, or of a later "
        "one: the next number is taken from those that are there.",
    ),
    _closing(
        "not-selected",
        (
            _DONE,
            _KEPT_OUT,
            ExitCode.FAILED,
            ExitCode.VALIDATION_FAILED,
            ExitCode.VERIFICATION_FAILED,
        ),
        "Not selected of {entity}: {reasons}",
        "S9's table has rows that the extract did not select.",
    ),
)

DIFFERENCES = (
    _closing(
        "missing",
        ExitCode.VERIFICATION_FAILED,
        "items missing: {count}",
        "Items of the load are not in the table.",
    ),
    _closing(
        "different",
        ExitCode.VERIFICATION_FAILED,
        "items with different content that the application did not write: {count}",
        "Items have different content, and nothing says that the application changed them.",
    ),
    _closing(
        "only-in-target",
        ExitCode.VERIFICATION_FAILED,
        "only in the target: {what} ({why})",
        "Items with a `legacyId` are in the table, and S9 no longer has them.",
    ),
    _closing(
        "behind-source",
        ExitCode.VERIFICATION_FAILED,
        "changed in S9 since the load: {count}",
        "`--phase verify --from-source`: the table has items as they were loaded, and S9 has them "
        "otherwise now, no longer, or more of them.",
    ),
    _closing(
        "other-problems",
        ExitCode.VERIFICATION_FAILED,
        "failed checks of whole tables: {count}",
        "The ledger, line counts, references, indexes or access patterns are wrong.",
    ),
)

REMEDIES = (
    _closing(
        "bring-up",
        ExitCode.VERIFICATION_FAILED,
        "The target is as it was loaded, by the files of the load; if nobody has changed these "
        "records in S9 since, those files are wrong, and the target with them. To bring it up to "
        "what S9 is now, set load.onConflict to newer (what was changed later wins) or overwrite "
        "(S9 wins, also over the application), then: {full}",
        "The only difference is what S9 has changed since the load.",
    ),
    _closing(
        "take-away",
        ExitCode.VERIFICATION_FAILED,
        "To take away what S9 no longer has: {extra}; or delete it in the Sale Module, or leave "
        "it. Then verify again: {verify}",
        "Nothing is missing or different, and items are only in the target: a load deletes nothing "
        "except lines of records that it replaces.",
    ),
    _closing(
        "write-again",
        ExitCode.VERIFICATION_FAILED,
        "Write that again, which leaves what the application has changed as it is: {repair}",
        "Items are missing or have different content.",
    ),
    _closing(
        "write-again-and-take-away",
        ExitCode.VERIFICATION_FAILED,
        "Write that again, which leaves what the application has changed as it is: {repair}; and "
        "to take away what S9 no longer has as well: {both}",
        "Items are missing or have different content, and others are only in the target.",
    ),
    _closing(
        "correct-what-is-left",
        ExitCode.VERIFICATION_FAILED,
        "What a repair has left, and why, is in {repaired}: correct it, then verify again: "
        "{verify}",
        "The same after a repair of just that.",
    ),
    _closing(
        "load-the-last-sale",
        ExitCode.VERIFICATION_FAILED,
        "The next number depends on the last sale of the year, which is in quarantine: fix it in "
        "S9, then: {retry}",
        "The only difference is that the API would give a wrong next number, and DynamoDB has "
        "refused the sale with the highest one.",
    ),
    _closing(
        "fix-the-cause",
        ExitCode.VERIFICATION_FAILED,
        "Fix what the report names, then verify again: {verify}",
        "No item is missing, and none has different content.",
    ),
)

COMMANDS = (
    _closing(
        "in-step",
        (_DONE, _KEPT_OUT),
        "In step with S9 as of {moment}: {new:record} new, {changed:record} changed, "
        "{removed:record} taken away, {unchanged:record} as they were{reasons}. To prove it: "
        "{verify}",
        "A sync is done; the reasons say what is not in the target as it is in S9.",
    ),
    _closing(
        "sync-foreseen",
        (_DONE, _KEPT_OUT),
        "Nothing was written to the target. A sync would write {new:new record}, replace "
        "{changed:record}, take {removed:record} away and leave {unchanged:record} as they "
        "are{reasons} (all in {report}). To do it: {sync}",
        "`sync --dry-run` has compared S9 with what was written last.",
    ),
    _closing(
        "followed",
        (_DONE, _KEPT_OUT),
        "In step with S9 as of {moment}, and no longer followed; since {since}: "
        "{passes:pass|passes} with {records:record}{reasons}. S9 keeps its log until this goes on: "
        "{follow}; or, not to follow it any more: {stop}",
        "`sync --follow` was stopped.",
    ),
    _closing(
        "can-follow",
        _DONE,
        "S9's log can be followed: {follow}",
        "`sync --check` has found everything that following needs.",
    ),
    _closing(
        "cannot-follow",
        ExitCode.FAILED,
        "{missing:thing is|things are} missing to follow S9's log. Have a DBA run what is listed, "
        "or keep in step without it: {every}",
        "`sync --check` has found something missing.",
    ),
    _closing(
        "follows-no-longer",
        _DONE,
        "S9 keeps nothing for this migration (any more)",
        "`sync --stop` has ended it.",
    ),
    _closing(
        "kept-since-gone",
        (_DONE, _KEPT_OUT),
        "{stays:record that S9 no longer has stays|records that S9 no longer has stay} in the "
        "tables (why: {report})",
        "A sync leaves a record that has left S9: the application has changed it, another record "
        "names it, it is in quarantine now, or `sync.removed` says `keep`.",
    ),
    _closing(
        "kept-changed",
        (_DONE, _KEPT_OUT),
        "{kept:record that S9 has changed stays as the application has it|records that S9 has "
        "changed stay as the application has them} (listed in {report})",
        "A sync has found records that both S9 and the application have changed, and "
        "`load.onConflict` lets the application win.",
    ),
    _closing(
        "cutover-stop-s9",
        _DONE,
        "In step with S9; the last pass has found {changes:changed record} and taken {seconds}. S9 "
        "owns the data. Now stop S9's "
        "application, then: {next}. To give up: {abort}",
        "`cutover` has brought the target up to S9, and waits for S9 to be stopped.",
    ),
    _closing(
        "cutover-shut",
        (ExitCode.FAILED, ExitCode.VALIDATION_FAILED, ExitCode.VERIFICATION_FAILED),
        "The gate {gate} is shut: {why}. Now {owner} owns the data. Next: {next}; to give up: "
        "{abort}",
        "A gate of `cutover` is shut.",
    ),
    _closing(
        "cutover-accept",
        _KEPT_OUT,
        "{open:thing is|things are} not in the target as S9 has it: {kinds} (listed in {list}). "
        "S9 owns the data. Copy that list, set acceptedBy and what is accepted, then: {next}. To "
        "give up: {abort}",
        "`cutover` has verified the target, and what is not simply the same is to be accepted by "
        "name; lines before it say what a given file lacks.",
    ),
    _closing(
        "cutover-certified",
        _DONE,
        "Certified: {report}. S9 owns the data until you say that it is done. Switch the "
        "application now, then: {next}. To give up: {abort}",
        "Every gate of `cutover` before the switch was open.",
    ),
    _closing(
        "cutover-switched",
        _DONE,
        "Switched: the Sale Module owns the data since {moment}. To see later what differs from "
        "S9: {drift}. To give the data back to S9: {back}",
        "`cutover --switched`, and `cutover` after it.",
    ),
    _closing(
        "cutover-aborted",
        _DONE,
        "Given up {after}: S9 owns the data, and may be started again. To stay in step: {sync}. To "
        "begin anew: {next}",
        "`cutover --abort`.",
    ),
    _closing(
        "cutover-taken-back",
        _DONE,
        "S9 owns the data again, without {lost:record} that the Sale Module has changed since "
        "(listed in {report}). Switch the application back; then, to stay in step: {sync}",
        "`cutover --back`.",
    ),
    _closing(
        "cutover-stands",
        _DONE,
        "S9 owns the data; of a cut-over {due}. To go on: {next}",
        "`cutover --status` before the switch.",
    ),
    _closing(
        "cutover-rehearsed",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "Rehearsed, and nothing was written to the target: the gates were {gates}; S9 has changed "
        "{changed} since the last load, which is expected. The standstill would be about "
        "{seconds} (see {report}). S9 owns the data. To begin: {next}",
        "`cutover --rehearse`. Code 5: something would be to be accepted; 4: the target is "
        "damaged.",
    ),
    _closing(
        "drift",
        _DONE,
        "Between S9 as of {moment} and the target {application:record was|records were} changed "
        "by the application and {source:record|records} by S9 (listed in {report}).",
        "`drift` has compared them; nothing is damaged.",
    ),
    _closing(
        "drift-damaged",
        ExitCode.VERIFICATION_FAILED,
        "Between S9 as of {moment} and the target {application:record was|records were} changed "
        "by the application and {source:record|records} by S9; {damaged:record is|records are} "
        "otherwise, and nobody has signed that (listed in {report}).",
        "`drift` has found something that is nobody's work.",
    ),
    _closing(
        "checked",
        _DONE,
        "Nothing is in the way ({checks:check}). Rehearse: {next}",
        "`check` has found nothing that a migration would stumble over.",
    ),
    _closing(
        "checked-warned",
        _DONE,
        "Nothing is in the way ({checks:check}, {warning:warning}). Rehearse: {next}",
        "The same, with warnings.",
    ),
    _closing(
        "checked-failed",
        ExitCode.FAILED,
        "{failed:check has|checks have} failed. Do what is said there, from the top, since causes "
        "come first; then: {again}",
        "`check` has found something that a migration would stumble over.",
    ),
    _closing(
        "undone",
        _DONE,
        "Undone: the load of run {run}, begun at {began}; see {report}. {next}",
        "`rollback` has undone the whole load.",
    ),
    _closing(
        "undone-but",
        _DONE,
        "Undone: the load of run {run}, begun at {began}, except for {records:record that "
        "stays|records that stay} whole; see {report}. {next}",
        "`rollback` has kept records on which the application has worked since, or that another "
        "record names.",
    ),
    _closing(
        "nothing-undone",
        _DONE,
        "Nothing is undone of the load of run {run}, begun at {began}: {records:record "
        "stays|records stay} whole; see {report}. {next}",
        "`rollback` had to keep everything that was left of the load.",
    ),
    _closing(
        "none-left",
        _DONE,
        "Nothing was left in the tables of the load of run {run}, begun at {began}: there was "
        "nothing to undo; see {report}. {next}",
        "`rollback` has found nothing of the load, and nothing that had to be kept.",
    ),
    _closing(
        "undone-before",
        _DONE,
        "The load of run {run}, begun at {began}, was undone before, and nothing has arrived "
        "since; see {report}. {next}",
        "`rollback` has looked again for requests that were on their way when the load was undone.",
    ),
    _closing(
        "undone-before-and-late",
        _DONE,
        "The load of run {run}, begun at {began}, was undone before; {late:record had arrived "
        "since and is now deleted|records had arrived since and are now deleted}; see {report}. "
        "{next}",
        "The same, and something had arrived.",
    ),
    _closing(
        "rollback-foreseen",
        _DONE,
        "Nothing was written. To do it: {rollback}",
        "`rollback --dry-run`; the lines before it say what would be done.",
    ),
    _closing(
        "repaired",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "Repaired {records:record}: {created:item} written again, {replaced:item} replaced, "
        "{taken:item} taken away (listed in {report}). To undo it: {undo}",
        "`--phase verify` with `--repair` or `--repair-extra` has written; the verification after "
        "it has the last word.",
    ),
    _closing(
        "repaired-nothing",
        ExitCode.VERIFICATION_FAILED,
        "Repaired nothing (see {report}).",
        "The same, and nothing of what was found could be repaired.",
    ),
    _closing(
        "nothing-to-repair",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "There was nothing to repair.",
        "The same, and verify has found nothing of what was to be repaired.",
    ),
    _closing(
        "repair-foreseen",
        ExitCode.VERIFICATION_FAILED,
        "Nothing was written to the tables. A repair would write {created:item} again, replace "
        "{replaced:item} and take {taken:item} away, in {records:record} (listed in {report}): "
        "{repair}",
        "The same with `--dry-run`.",
    ),
    _closing(
        "repair-left",
        (_DONE, _KEPT_OUT, ExitCode.VERIFICATION_FAILED),
        "Left as they are: {why} (listed in {report})",
        "A repair has left records, or would.",
    ),
    _closing(
        "repair-undone",
        _DONE,
        "Undone: the repair of {began}, {records:record}; see {report}. Verify: {verify}",
        "`rollback --repair` has undone the last repair.",
    ),
    _closing(
        "repair-undone-but",
        _DONE,
        "Undone: the repair of {began}, {records:record}, except for {kept:record that "
        "stays|records that stay} as they are now; see {report}. Verify: {verify}",
        "`rollback --repair` has kept records that were changed since, or that another record "
        "names.",
    ),
    _closing(
        "rollback-does-not-close",
        ExitCode.FAILED,
        "The ledger of the rollback does not close: see {report}",
        "`rollback` cannot account for everything that the load had written.",
    ),
    _closing(
        "restored",
        _DONE,
        "Restored: {table} equals {backup}, {items:item} ({added} added, {replaced} replaced, "
        "{deleted} deleted)",
        "`restore` has put a backup back and compared the table with it.",
    ),
    _closing(
        "restored-but",
        _KEPT_OUT,
        "Restored, except for {records}: {table} differs from {backup} in {different:item} "
        "({added} added, {replaced} replaced, {deleted} deleted). To see what another restore "
        "would do: {look}",
        "`restore` has found records that the application has changed since it had looked at the "
        "table, before it wrote them or after it; or records that the backup has not, and others "
        "name.",
    ),
    _closing(
        "backed-up",
        _DONE,
        "To restore one: {restore}",
        "`backup` is done; the lines before it name each table's backup.",
    ),
    _closing(
        "no-backups",
        _DONE,
        "There are no backups in {directory}",
        "`backups` has found none.",
    ),
    _closing(
        "status-none",
        _DONE,
        "Nothing has been done in {directory}. Start: {full}",
        "`status` has found no trace of a run.",
    ),
    _closing(
        "status-running",
        _DONE,
        "It goes on; to watch it: {watch}",
        "`status` has found a command at work.",
    ),
    _closing(
        "status-stopped",
        _DONE,
        "It has not come to its end. Next: {next}",
        "`status` has found a command that has failed, was interrupted or was killed.",
    ),
    _closing(
        "status-ended",
        _DONE,
        "It has ended: {sentence}",
        "`status` has found a command that has come to its end; the sentence is its last line.",
    ),
    _closing(
        "dashboard-ended",
        _DONE,
        "The dashboard of {directory} has ended; what it showed goes on",
        "`dashboard` was ended with Ctrl-C or a signal.",
    ),
    _closing(
        "report-made",
        _DONE,
        "To be looked at: {page}",
        "`report` has made the page for people.",
    ),
    _closing(
        "report-not-opened",
        _DONE,
        "No browser could be started here; to be looked at: {page}",
        "`report --open` has made the page, on a machine without a browser, for example.",
    ),
    _closing(
        "explained",
        (_DONE, _DIFFERENT, _KEPT_OUT),
        "Verdict: {sentence}",
        "`explain` has told what became of a record, and there is nothing to do. Code 0: all is as "
        "it should be, or the application's; 4: it differs from S9; 5: it is in quarantine, or was "
        "kept.",
    ),
    _closing(
        "explained-next",
        (_DONE, _DIFFERENT, _KEPT_OUT),
        "Verdict: {sentence}. Next: {next}",
        "The same, with what to do.",
    ),
    _closing(
        "nothing-to-clean",
        _DONE,
        "There is nothing to clean in {directory}.",
        "`clean` has found nothing that the tool left there.",
    ),
    _closing(
        "not-cleaned",
        _DONE,
        "Nothing was deleted.",
        "`clean` has asked, and the answer was no.",
    ),
    _closing(
        "packaged",
        _DONE,
        "The job is in {directory}; what to type for it, in its order, is in {guide}",
        "`package` has made what a managed Spark takes.",
    ),
    _closing(
        "evidence-packed",
        _DONE,
        "Packed: {file} ({packed:file}, and the checksums of {named:other}). Its SHA-256 is "
        "{sha256}: note it where nobody can change it who can change the archive. To check it "
        "later: {check}",
        "`evidence` has packed the evidence of a run.",
    ),
    _closing(
        "evidence-checks",
        _DONE,
        "It is whole: every file in it is as it was packed. That it is the archive that was "
        "packed then, and that nobody has packed another one since, only its SHA-256 says, if it "
        "was noted elsewhere{noted}: {sha256}",
        "`evidence --check` has found nothing wrong.",
    ),
    _closing(
        "evidence-differs",
        ExitCode.VERIFICATION_FAILED,
        "It proves nothing any more: {problems:thing is|things are} not as when it was packed.",
        "`evidence --check` has found something wrong: each is said before the last line.",
    ),
    _closing(
        "as-planted",
        _DONE,
        "The tool found exactly what was planted.",
        "`demo`: exactly the rows that were made dirty were refused or warned of.",
    ),
    _closing(
        "not-as-planted",
        ExitCode.FAILED,
        "The tool did not find exactly what was planted: this is a defect of the tool.",
        "`demo`: it is not.",
    ),
)

CLOSINGS = {
    each.name: each
    for group in (OPENINGS, REASONS, NOTES, DIFFERENCES, REMEDIES, COMMANDS)
    for each in group
}


def said(name: str, **values: object) -> str:
    """The words of a closing; figures among the values get their commas and their nouns."""
    shown = {
        key: Figure(value) if isinstance(value, int) else value for key, value in values.items()
    }
    return CLOSINGS[name].words.format(**shown)
