"""`migrate.py restore`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import click

from load.backup.folder import BackupFolder
from load.restore.engine import Restored, restore
from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge, require_table_name
from utils.config import Config
from utils.entities import ENTITY_NAMES, shape_at
from utils.error_handler import ExitCode
from utils.files.encryption import identities
from utils.run.session import bring_files, open_session
from utils.wording.figures import counted

_SHOWN = 5


@click.command("restore")
@click.argument("backup")
@click.option("--into", metavar="TABLE", help="Restore into this table instead.")
@click.option("--yes", is_flag=True, help="Change a table that is not empty.")
@click.pass_obj
def restore_backup(caller: Caller, backup: str, into: str | None, yes: bool) -> None:
    """Restore a BACKUP (its name, as `backups` lists it, or its folder).

    A table that is not there is created, with the keys and indexes that it had. One that is not
    empty is only changed with --yes; without it, the command says what would change. In the end
    the table equals the backup, item for item, except for records that the application has changed
    in the meantime, which stay as they are, and for records that others name, as a sale its
    parties.
    """
    at_the_edge(lambda: _restore(caller, backup, into, agreed=yes))


def _restore(caller: Caller, backup: str, into: str | None, *, agreed: bool) -> ExitCode:
    config = caller.settings()
    if into is not None:
        require_table_name(into, "--into")
    bring_files(config, everything=True)
    words = ["restore", backup, *(["--into", into] if into else [])]
    folder = BackupFolder.open(_place(config, backup))
    undoes = (into or folder.entry.table) in map(config.target.table, ENTITY_NAMES)
    with open_session(config, caller.screen, shlex.join(words), undoes=undoes) as work:
        key_file = config.backup.identity
        keys = identities(Path(key_file)) if key_file and folder.entry.encrypted else ()
        done = restore(work, folder, into or folder.entry.table, keys, agreed=agreed)
        text = _told(done, folder, look=work.command(shlex.join(words)))
        code = ExitCode.QUARANTINED if done.left.count else ExitCode.DONE
        work.progress.conclude(code, text)
    click.echo(text)
    return code


def _records(done: Restored) -> str:
    """How many records stay, and why."""
    changed, in_use = done.left_records - len(done.in_use), len(done.in_use)
    of = " that the application has changed in the meantime"
    parts = [
        counted(changed, f"record{of}", f"records{of}") if changed else "",
        _named(done.in_use, " that a {user} names") if in_use else "",
    ]
    return " and ".join(filter(None, parts))


def _named(by: Mapping[str, str], words: str = "") -> str:
    """So many parties (or whatever they are to those that name them), with further words; `by` has
    partition keys, each with that of a record that names it."""
    named, user = (shape_at(next(iter(keys), "")) for keys in (by, by.values()))
    words = words.format(user=user.singular if user else "record")
    one, many = named.role if named else ("record", "records")
    return counted(len(by), one + words, many + words)


def _users(by: Mapping[str, str]) -> str:
    """What names them, "sales"."""
    user = shape_at(next(iter(by.values()), ""))
    return user.name if user else "records"


def _place(config: Config, backup: str) -> Path:
    """The folder that a name or a path means."""
    if Path(backup).name != backup:  # a path is that of a folder, from here
        return Path(backup)
    named = Path(config.backups) / backup
    return named if named.is_dir() or not Path(backup).is_dir() else Path(backup)


def _told(done: Restored, folder: BackupFolder, look: str) -> str:
    """What was done; `look` is the command that says what a restore would change."""
    lines = []
    live = folder.entry.time_to_live or {}
    if done.created and live.get("TimeToLiveStatus") == "ENABLED":
        lines.append(
            f"{folder.entry.table} had time to live on {live.get('AttributeName')}: turn it on "
            f"for {done.table} before it is used"
        )
    if done.kept_as:
        lines.append(f"What {done.table} held before is in {done.kept_as}")
    if done.nowhere:
        first = ", ".join(f"{pk} ({user})" for pk, user in islice(done.nowhere.items(), _SHOWN))
        more = ", …" if len(done.nowhere) > _SHOWN else ""
        lines.append(
            f"In no table, although restored {_users(done.nowhere)} name them: "
            f"{first}{more} ({_named(done.nowhere)}). Restore their tables as well"
        )
    figures = {"added": done.added, "replaced": done.replaced, "deleted": done.deleted}
    names: dict[str, object] = {"table": done.table, "backup": folder.path.name, **figures}
    if done.left.count:
        more = ", … (all of them are in the log)" if done.left.count > len(done.left.first) else ""
        whose = "Not as the backup has them" if done.in_use else "As the application has them"
        lines.append(f"{whose}: {', '.join(done.left.first)}{more}")
        for pk, user in islice(done.in_use.items(), _SHOWN):
            lines.append(f"In use: {pk} ({user} names it)")
        if done.in_use:
            users = _users(done.in_use)
            lines.append(f"If you restore the {users} as well, restore them first, then this")
        count = {"records": _records(done), "different": done.left.count}
        lines.append(said("restored-but", **names, **count, look=look))
    else:
        lines.append(said("restored", **names, items=done.items))
    return "\n".join(lines)
