"""A DynamoDB whose answers are not what they should be: each in one place, once or from then on.

The genuine answers of an undisturbed command are recorded; a case changes one of them on its way
back to the tool, which runs in this process against the embedded AWS. Whatever comes, the tool
ends with the right result or with an error that says what to do, and has touched nothing that it
should not have.

Left out is what is a lie in DynamoDB's own form, which nobody could see: another text, number or
flag in place of a text, number or flag, or a shorter list of things of which any number may be
there. AWS's answers bear a CRC-32 against that, which the wire compares.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.folder import BackupFolder
from load.entities import TABLES as SPECS
from load.restore.engine import restore
from load.rollback.engine import Time, roll_back
from load.target.tables import prepare_tables
from migrate import Runbook
from tests.support.records.transformed import Migration, sale
from utils.aws.http_wire import HttpWire, Reply
from utils.config import BackupConfig, Config, DataConfig, LoadConfig
from utils.dynamodb import retrying
from utils.dynamodb.client import forget_targets
from utils.error_handler import MigrationError, RunInterrupted
from utils.files.workspace import Workspace
from utils.interrupt import StopFlag
from utils.run.lifecycle import Screen, Start, open_run
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.session import Session
from utils.telemetry.tasks import Tasks

ENTITIES: Final = ("buyers", "producers", "sales")
Path_ = tuple[str | int, ...]
Items = dict[tuple[str, str, str], dict[str, Any]]  # by table, PK, SK
_SERVICE = "com.amazonaws.dynamodb.v20120810#"


@dataclass(frozen=True)
class Answered:
    """A genuine answer: what it is to, the how-manieth of its kind it was, and the answer."""

    operation: str
    number: int
    status: int
    content: bytes


@dataclass(frozen=True)
class Case:
    """One change to one answer of a scene, once or each time from then on."""

    scene: str
    operation: str
    number: int
    how: str
    path: Path_
    always: bool

    def __str__(self) -> str:
        place = ".".join(map(str, self.path)) or "the whole"
        often = "always from" if self.always else "once,"
        return f"{self.scene}: {self.how} {place} of {self.operation}, {often} {self.number}"


def _retyped(value: Any) -> Any:
    if isinstance(value, str):
        return 7
    if isinstance(value, (bool, int, float)):
        return str(value)
    return [value] if isinstance(value, dict) else {"0": value}


def _truncated(value: Any) -> Any:
    if isinstance(value, list) and value:
        return value[: len(value) // 2]
    if isinstance(value, dict) and len(value) > 1:
        return dict(list(value.items())[: len(value) // 2])
    return None


_NEW: Final[dict[str, Callable[[Any], Any]]] = {"retype": _retyped, "truncate": _truncated}
VALUES: Final = ("drop", "null", "retype", "truncate", "rename")
WHOLE: Final[dict[str, Callable[[int, bytes], tuple[int, bytes]]]] = {
    "empty body": lambda status, _: (status, b""),
    "empty object": lambda status, _: (status, b"{}"),
    "empty list": lambda status, _: (status, b"[]"),
    "null body": lambda status, _: (status, b"null"),
    "a number": lambda status, _: (status, b"7"),
    "HTML": lambda status, _: (status, b"<html><body>Sign in</body></html>"),
    "half": lambda status, body: (status, body[: len(body) // 2]),
    "UTF-16": lambda status, body: (status, body.decode().encode("utf-16")),
    "a mark of order": lambda status, body: (status, b"\xef\xbb\xbf" + body),
    "no UTF-8": lambda status, body: (status, body[:-1] + b',"x":"\xff"}'),
    "twice": lambda status, body: (status, body + body),
    "status 204": lambda _, __: (204, b""),
    "status 202": lambda _, body: (202, body),
    "status 302": lambda _, body: (302, body),
    "status 400": lambda _, body: (400, body),
    "status 403, HTML": lambda _, __: (403, b"<html>Forbidden</html>"),
    "status 404, HTML": lambda _, __: (404, b"<html>Not Found</html>"),
    "status 500": lambda _, body: (500, body),
    "status 502, HTML": lambda _, __: (502, b"<html>Bad Gateway</html>"),
    "an error with 200": lambda _, __: (200, _error("InternalServerError")),
    "an unknown error": lambda _, __: (400, _error("NeverHeardOfException")),
    "an error without a name": lambda _, __: (400, b'{"message":"no"}'),
    "an error of null": lambda _, __: (400, b'{"__type":null,"message":null}'),
    "denied": lambda _, __: (400, _error("AccessDeniedException")),
}


def _error(code: str) -> bytes:
    return orjson.dumps({"__type": _SERVICE + code, "message": "as the test has it"})


def cases_of(scene: str, answers: Sequence[Answered]) -> Iterator[Case]:
    """Every change to every answer."""
    for each in answers:
        places: list[tuple[str, Path_]] = [(how, ()) for how in WHOLE]
        found = orjson.loads(each.content)
        places += [(how, path) for path in _paths(found) for how in VALUES]
        for how, path in places:
            if path and (_is_a_lie(path, how, found) or _changed(found, path, how) is None):
                continue
            for always in (False, True):
                yield Case(scene, each.operation, each.number, how, path, always)


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The places in an answer; of a list the first and the last member stand for all."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*path, name))
    if isinstance(value, list) and value:
        for place in sorted({0, len(value) - 1}):
            yield from _paths(value[place], (*path, place))


def _is_a_lie(path: Path_, how: str, answer: Any) -> bool:
    """Whether the changed answer would be one that DynamoDB could have given, of another state."""
    inside_item = _inside_item(path)
    if how == "truncate" and path == ("Table", "GlobalSecondaryIndexes"):
        return True  # a table of fewer indexes
    if how == "drop" and isinstance(path[-1], int):
        return path[0] in ("Responses", "Tags")  # an item less was found
    if how == "truncate" and path[:1] == ("Responses",) and len(path) == 2:
        return True
    if inside_item is None:
        return path == ("Item",) and how in ("drop", "rename")
    if len(inside_item) <= 1 and how in ("drop", "rename", "truncate"):
        # Attributes less: another item, unless its key is no more.
        key = inside_item[:1]
        return key not in (("PK",), ("SK",)) or "Items" not in path
    return how in ("drop", "truncate") and len(inside_item) > 1 and isinstance(inside_item[-1], int)


def _inside_item(path: Path_) -> Path_ | None:
    """The rest of a path that leads into an item: () for the item itself."""
    for at, name in enumerate(path):
        if name in ("Items", "Responses") and at == 0:
            start = 2 if name == "Items" else 3
            return path[start:] if len(path) >= start else None
        if name == "Item":
            return path[at + 1 :]
    return None


def _changed(answer: Any, path: Path_, how: str) -> Any | None:
    """The answer with the change made; None when there is nothing to be changed there."""
    copy = orjson.loads(orjson.dumps(answer))
    place, last = copy, path[-1]
    try:
        for name in path[:-1]:
            place = place[name]
        value = place[last]
    except (KeyError, IndexError, TypeError):
        return None
    if how == "rename" and isinstance(last, str):
        renamed = {last + "X" if name == last else name: each for name, each in place.items()}
        place.clear()
        place.update(renamed)
    elif how == "null" and value is not None:
        place[last] = None
    elif how == "drop":
        del place[last]
    elif how in _NEW and (new := _NEW[how](value)) is not None:
        place[last] = new
    else:
        return None
    return copy


@dataclass
class Tampering:
    """Sits between the wire and the tool: counts and records answers, and changes those of a
    case."""

    case: Case | None = None
    answers: list[Answered] = field(default_factory=list)
    changed: int = 0
    _counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, headers: bytes, reply: Reply) -> Reply:
        operation = headers.partition(b"X-Amz-Target: ")[2].partition(b"\r\n")[0].decode()
        operation = operation.rpartition(".")[2]
        number = self._counts[operation]
        self._counts[operation] += 1
        if self.case is None:
            self.answers.append(Answered(operation, number, reply.status, reply.content))
            return reply
        case = self.case
        due = number == case.number or (case.always and number > case.number)
        if operation != case.operation or not due:
            return reply
        return self._changed(case, reply)

    def _changed(self, case: Case, reply: Reply) -> Reply:
        if not case.path:
            status, content = WHOLE[case.how](reply.status, reply.content)
        else:
            changed = _changed(orjson.loads(reply.content), case.path, case.how)
            if changed is None:
                return reply
            status, content = reply.status, orjson.dumps(changed)
        self.changed += 1
        return Reply(status, {}, content)


@contextmanager
def tampering(case: Case | None) -> Iterator[Tampering]:
    """What answers is tampered with while this lasts, and nobody waits for anything."""
    at_work = Tampering(case)
    original = HttpWire.post

    def post(self: HttpWire, headers: bytes, body: bytes) -> Reply:
        return at_work(headers, original(self, headers, body))

    def no_sleep(_: StopFlag, __: float) -> None:
        return

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpWire, "post", post)
        patch.setattr(StopFlag, "sleep", no_sleep)
        patch.setattr(retrying, "_DELAY", 0.0001)
        yield at_work


@dataclass
class Scene:
    """A command in a state of the tables and of the data directory, and what it makes of them.

    `goes_on`: a run that ends with an error can be resumed to the same end."""

    name: str
    config: Config
    work: Callable[[Config], int]
    tables: Sequence[str]
    before: Items
    made: bool = True
    goes_on: Callable[[Config], int] | None = None
    files: Path | None = None
    after: Items = field(default_factory=dict)
    code: int | None = 0  # None: an error
    answers: list[Answered] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """Where scenes are played: the service, and a directory."""

    client: DynamoDBClient
    directory: Path
    scenes: dict[str, Scene]

    def play(self, case: Case) -> str:
        """Play a case; returns what is wrong with how it ended, "" when nothing is."""
        scene = self.scenes[case.scene]
        self.set_up(scene)
        with tampering(case):  # how often an index is asked differs: the answer may not come
            code, problem = outcome(scene.work, scene.config)
        if problem:
            return f"{case}: {problem}"
        there = self.items(scene)
        problem = _judged(scene, code, there)
        if not problem and code is None and scene.goes_on and scene.code is not None:
            code, problem = outcome(scene.goes_on, scene.config)
            if not problem and (code != scene.code or self.items(scene) != scene.after):
                problem = f"resumed it ends with {code}, and not with the right result"
        return f"{case}: {problem}" if problem else ""

    def record(self, scene: Scene) -> None:
        """Play a scene undisturbed, and keep what was answered and what came of it."""
        self.set_up(scene)
        with tampering(None) as at_work:
            scene.code, problem = outcome(scene.work, scene.config)
        assert not problem, problem
        scene.answers = at_work.answers
        scene.after = self.items(scene)
        self.scenes[scene.name] = scene

    def set_up(self, scene: Scene) -> None:
        root = Path(scene.config.data.directory)
        shutil.rmtree(root, ignore_errors=True)
        if scene.files:
            shutil.copytree(scene.files, root)
        if not scene.made:
            for name in scene.tables:
                if name in self.client.list_tables()["TableNames"]:
                    self.client.delete_table(TableName=name)
            return
        there = self.items(scene)
        for table in scene.tables:
            puts: list[Any] = [
                {"PutRequest": {"Item": item}}
                for key, item in scene.before.items()
                if key[0] == table and there.get(key) != item
            ]
            puts += [
                {"DeleteRequest": {"Key": {"PK": {"S": key[1]}, "SK": {"S": key[2]}}}}
                for key in there
                if key[0] == table and key not in scene.before
            ]
            for at in range(0, len(puts), 25):
                self.client.batch_write_item(RequestItems={table: puts[at : at + 25]})

    def items(self, scene: Scene) -> Items:
        """What is in the scene's tables."""
        found: Items = {}
        for table in scene.tables:
            try:
                listed = self.client.scan(TableName=table)["Items"]
            except self.client.exceptions.ResourceNotFoundException:
                continue
            for item in listed:
                found[table, item["PK"]["S"], item["SK"]["S"]] = dict(item)
        return found


def outcome(work: Callable[[Config], int], config: Config) -> tuple[int | None, str]:
    """The exit code, None for an error; and what is wrong with the error."""
    try:
        return work(config), ""
    except RunInterrupted as error:
        return None, f"interrupted by nobody: {error}"
    except MigrationError as error:
        text = f"{error.message} {error.remedy}"
        if "unexpected" in text or "defect" in text:
            return None, f"{text} ({error.__cause__!r})"
        return None, "" if error.remedy else f"no remedy: {error.message}"
    except Exception as error:
        return None, f"unexpected {error!r}"


def _judged(scene: Scene, code: int | None, there: Items) -> str:
    """What is wrong with the tables after a command that ended so."""
    if code is not None and code == scene.code:
        wrong = [key for key in {*there, *scene.after} if there.get(key) != scene.after.get(key)]
        return f"it is said to be done, but {_shown(wrong)}" if wrong else ""
    if code == 4 and there == scene.after:
        return "differences are said to be where none are"
    if code not in (None, 4):
        return f"exit code {code}"
    touched = [
        key
        for key in {*there, *scene.before, *scene.after}
        if there.get(key) not in (scene.before.get(key), scene.after.get(key))
    ]
    return f"it was touched what should not be: {_shown(touched)}" if touched else ""


def _shown(keys: Sequence[tuple[str, str, str]]) -> str:
    return f"{len(keys)} items differ, first {min(keys)}"


# ---------------------------------------------------------------------------------------------
# The scenes
# ---------------------------------------------------------------------------------------------


def load_and_verify(config: Config, start: Start = Start.BY_HAND) -> int:
    with open_run(config, Screen(quiet=True), start) as run:
        run.resuming = start is Start.RESUME
        book = Runbook(run)
        code = book.load(ENTITIES)
        return int(book.verify(ENTITIES) or code)


def load_again(config: Config) -> int:
    """What an operator does after an error: it goes on."""
    return load_and_verify(config, Start.RESUME)


def verify_only(config: Config) -> int:
    with open_run(config, Screen(quiet=True), Start.BY_HAND) as run:
        return int(Runbook(run).verify(ENTITIES))


def undo(config: Config) -> int:
    files = Workspace(Path(config.data.directory))
    manifest = Manifest.load(files.manifest)
    assert manifest is not None
    run = Run(config, files, manifest, Tasks())
    rolled = roll_back(run, SPECS, Time(clock=itertools.count(0.0, 60.0).__next__))
    return 0 if rolled.closes else 1


def put_back(config: Config) -> int:
    """Restore what the load's backup of the sales holds."""
    files = Workspace(Path(config.data.directory))
    work = Session(config, files, Tasks())
    name = min(path.name for path in Path(config.backups).glob(f"{config.target.sales_table}-*"))
    restore(
        work,
        BackupFolder.open(Path(config.backups) / name),
        config.target.sales_table,
        (),
        agreed=True,
    )
    return 0


def the_stage(endpoint: str, directory: Path) -> Stage:
    """All scenes, each played once undisturbed."""
    made = Migration(directory / "made", endpoint)
    made.fill(parties=3, sales=4)
    run = made.write()
    for entity in ENTITIES:
        run.finish(
            "validate",
            entity,
            inputs=run.sha_of(run.workspace.transformed(entity)),
            settings="",
            result={},
        )
        run.manifest.forget("load", entity)
    run.save()
    quick = replace(made.config.migration, workers=1, processes=1, batch_size=10)
    config = replace(
        made.config,
        migration=quick,
        data=DataConfig(str(directory / "data")),
        load=LoadConfig("overwrite"),
    )
    names = [config.target.table(entity) for entity in ENTITIES]
    prepare_tables(config.target, list(SPECS.values()), create=True)
    stage = Stage(made.client, directory, {})
    theirs = _theirs(config, made)
    fresh = Scene("load", config, load_and_verify, names, {}, files=made.root, goes_on=load_again)
    stage.record(fresh)
    over = replace(fresh, name="load over others", before=theirs)
    stage.record(over)
    loaded = directory / "loaded"
    shutil.copytree(config.data.directory, loaded)
    fail = replace(config, load=LoadConfig("fail"))
    stage.record(replace(over, name="load refused", config=fail, goes_on=None))
    after: dict[str, Any] = {"before": over.after, "files": loaded, "goes_on": None}
    stage.record(replace(over, name="verify", work=verify_only, **after))
    stage.record(replace(over, name="rollback", work=undo, **{**after, "goes_on": undo}))
    stage.record(replace(over, name="restore", work=put_back, **{**after, "goes_on": put_back}))
    target = replace(
        config.target,
        buyers_table=f"New-{names[0]}",
        producers_table=f"New-{names[1]}",
        sales_table=f"New-{names[2]}",
    )
    new = replace(
        config,
        target=target,
        backup=BackupConfig(native=True, point_in_time_recovery="enable"),
    )
    stage.record(
        replace(
            fresh,
            name="prepare",
            config=new,
            tables=[target.table(entity) for entity in ENTITIES],
            made=False,
            goes_on=None,
        )
    )
    forget_targets()
    return stage


def _theirs(config: Config, made: Migration) -> Items:
    """What the application has in the tables: records of its own, and others under our keys."""
    found: Items = {}
    foreign = [
        {name: value for name, value in item.items() if name != "legacyId"}
        for item in sale(99, lines=2)
    ]
    edited = [
        {**record[0], "notes": {"S": "edited"}, "updatedBy": {"S": "somebody"}}
        for entity in ENTITIES
        for record in made.records[entity][:1]
    ]
    for item in [*foreign, *edited]:
        entity = f"{item['PK']['S'].partition('#')[0].lower()}s"
        found[config.target.table(entity), item["PK"]["S"], item["SK"]["S"]] = item
    return found


def all_cases(stage: Stage) -> list[Case]:
    """Every case of every scene, in an order that is always the same."""
    return [case for scene in stage.scenes.values() for case in cases_of(scene.name, scene.answers)]


def chosen(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """Some cases: each scene, operation and kind of change as often as any other."""
    chance = random.Random(seed)
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.scene, case.operation, case.how), []).append(case)
    order = sorted(groups)
    found: list[Case] = []
    while len(found) < min(count, len(cases)):
        chance.shuffle(order)
        for name in order:
            if groups[name] and len(found) < count:
                found.append(groups[name].pop(chance.randrange(len(groups[name]))))
    return found


def play_all(stage: Stage, cases: Sequence[Case]) -> list[str]:
    """What is wrong with how cases end."""
    return [problem for case in cases if (problem := stage.play(case))]
