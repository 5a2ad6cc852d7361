"""S9's log is followed: what changes there is in the target a few seconds later, and whatever
happens meanwhile, the tables are in the end as a fresh `--full` would leave them."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.scenarios.sync.changes import change_everything
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.living.follower import FollowedS9
from tests.support.living.fresh import fresh_migration
from tests.support.living.judge import contents_of
from tests.support.operators.operator import (
    Operator,
    insert,
    line,
    party,
    sale,
    scan_all,
    small_trade,
)
from utils.embedded.aws import EmbeddedAws


@pytest.fixture(params=["s9_with_log", "s9_with_binlog"], ids=["postgresql", "mariadb"])
def living(request: pytest.FixtureRequest) -> S9Database:
    found: S9Database = request.getfixturevalue(request.param)
    return found


# What does not depend on whose log it is; histories of both are in test_followed_convergence.py.
ON_POSTGRESQL = pytest.mark.parametrize(
    "living", ["s9_with_log"], ids=["postgresql"], indirect=True
)


class Scene(FollowedS9):
    """The same with the tables that it writes to."""

    aws: EmbeddedAws
    dynamodb: DynamoDBClient
    tables: TableNames

    @property
    def told(self) -> str:
        """All that was told, however often it was stopped in the middle of a pass."""
        return "".join(each.output for each in self.operator.outcomes)

    def assert_in_step(self) -> None:
        """The tables are as a fresh migration leaves them."""
        fresh = fresh_migration(self.operator, self.s9, self.aws, self.dynamodb, self.tables)
        assert contents_of(scan_all(self.dynamodb, self.tables)) == fresh


@pytest.fixture
def scene(
    tmp_path: Path,
    living: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> Scene:
    """An operator who has migrated a small trade, and may follow S9's log."""
    small_trade(living)
    insert(living, "msg_anag", party(4, 2))
    insert(living, "msg", sale(12, 1, 3), sale(13, 4, 3))
    insert(living, "msg_line", line(4, 12), line(5, 12), line(6, 13))
    operator = hire(tmp_path, living, aws, tables)
    operator.configure(
        migration={"validateAfterLoad": False, "processes": 1},
    )
    scene = Scene(operator, living)
    scene.aws, scene.dynamodb, scene.tables = aws, dynamodb, tables
    scene.settle()
    operator.run("--full").ended(0)
    return scene


def test_what_changes_in_s9_is_brought_over(scene: Scene) -> None:
    with scene:
        scene.catch_up()
        page = (scene.operator.data / "reports" / "report.html").read_text("utf-8")
        assert "is at work" in page
        change_everything(scene.s9)
        done = scene.stop_in_step().ended(0)
    assert "In step with S9 as of" in done.last_line
    report = scene.operator.report("sync")
    assert report["snapshot"]["statement"].endswith("kept in step by S9's log since")
    scene.assert_in_step()
    with scene:  # it goes on where it was
        scene.s9.execute("DELETE FROM msg_line WHERE id = 4")
        done = scene.stop_in_step().ended(0)
    assert "Comparing everything" not in done.output
    scene.assert_in_step()
    scene.operator.run("--phase", "verify").ended(0)
    scene.operator.run("--phase", "verify", "--from-source").ended(0)
    stopped = scene.operator.run("sync", "--stop").ended(0)
    assert "S9 keeps nothing" in stopped.last_line


@ON_POSTGRESQL
def test_what_happens_while_nobody_follows_is_not_lost(scene: Scene) -> None:
    with scene:
        scene.catch_up()
        change_everything(scene.s9)
        scene.kill()
        scene.s9.execute("UPDATE msg SET notes = 'dopo' WHERE first_id = 11")
        scene.start()
        scene.stop_in_step().ended(0)
    scene.assert_in_step()


@ON_POSTGRESQL
def test_a_table_that_was_emptied_is_compared_whole(scene: Scene) -> None:
    with scene:
        scene.catch_up()
        rows = scene.s9.rows("SELECT id, msg_id, line_number FROM msg_line")
        scene.s9.execute("TRUNCATE TABLE msg_line")
        for key, of, _ in rows[1:]:
            insert(scene.s9, "msg_line", line(int(str(key)), int(str(of))))
        before = len(scene.told)
        scene.stop_in_step().ended(0)
    assert "Comparing everything: msg_line " in scene.told[before:]
    scene.assert_in_step()


@ON_POSTGRESQL
def test_nothing_is_forgotten_at_s9(scene: Scene) -> None:
    operator = scene.operator
    ready = operator.run("sync", "--check").ended(0)
    assert ready.last_line.endswith("python migrate.py sync --follow")
    with scene:
        scene.stop_in_step().ended(0)
    status = orjson.loads(operator.run("status", "--json").ended(0).stdout)["following"]
    assert (status["waitingSince"], status["trouble"]) == (None, "")
    assert status["passes"] >= 1 and status["inStepAsOf"]
    assert "S9's log: in step as of" in operator.run("status").ended(0).stdout
    assert "followed log" not in operator.run("check").stdout
    state = operator.data / "sync" / "following.json"
    kept = state.read_bytes()
    state.unlink()  # the data directory is lost
    found = operator.run("check")
    assert "S9 keeps its log for somebody: " in found.stdout
    assert "pg_drop_replication_slot" in found.stdout
    state.write_bytes(kept)
    cleaned = operator.run("clean", "--yes").ended(0)
    assert "Taken away at S9: " in cleaned.stdout
    assert not scene.s9.rows("SELECT 1 FROM pg_replication_slots")
    assert not scene.s9.rows("SELECT 1 FROM pg_publication")
    assert not state.exists()


@ON_POSTGRESQL
def test_who_stops_for_an_error_is_told_what_s9_keeps(scene: Scene) -> None:
    """Before there is anything to keep in step, S9 is not asked to keep its log."""
    operator = scene.operator
    buyers = scene.tables.buyers
    with scene:
        scene.stop_in_step().ended(0)
    scene.s9.execute("ALTER TABLE msg RENAME TO msg_old")
    operator.run("sync", "--follow").failed(1, "msg", "S9 keeps its log", "sync --stop")
    scene.s9.execute("ALTER TABLE msg_old RENAME TO msg")
    operator.run("sync", "--stop").ended(0)
    scene.dynamodb.delete_table(TableName=buyers)
    operator.run("sync", "--follow").failed(1, buyers, "--full")
    assert not scene.s9.rows("SELECT 1 FROM pg_replication_slots")


def test_what_is_missing_is_said_with_what_a_dba_runs(alone: Operator, s9: S9Database) -> None:
    """A server without a logical log, and an account that may only read."""
    small_trade(s9)
    alone.run("--full").ended(0)
    told = alone.run("sync", "--check").ended(1)
    assert "wal_level" in told.stdout and "rds.logical_replication" in told.stdout
    assert f"{s9.server.reader}" in told.stdout
    assert told.last_line.endswith("python migrate.py sync --every 60")
    alone.run("sync", "--follow").failed(1, "wal_level", "sync --check")


def test_sql_that_reads_other_tables_cannot_be_followed(scene: Scene) -> None:
    """Nothing is told of their changes; of those that are followed, everything is."""
    operator, s9 = scene.operator, scene.s9
    s9.execute("CREATE TABLE chosen (sale bigint)")
    s9.execute("INSERT INTO chosen VALUES (11)")
    s9.execute("CREATE VIEW seen AS SELECT sale FROM chosen")
    for sql in (
        {"where": "first_id IN (SELECT sale FROM chosen)"},
        {"where": "first_id IN (SELECT sale FROM SEEN)"},
        {"query": "SELECT m.* FROM msg m JOIN chosen c ON c.sale = m.first_id"},
    ):
        [[kind, text]] = sql.items()
        named = "seen" if "SEEN" in text else "chosen"
        operator.configure(extraction={"sales": {"query": None, "where": None, **sql}})
        told = f"extraction.sales.{kind} names {named}"
        operator.run("sync", "--follow").failed(2, told, "sync --every 60")
        operator.run("sync", "--check").failed(2, told, "sync --every 60")
    where = "notes IS NULL OR notes <> 'chosen' -- seen"
    operator.configure(extraction={"sales": {"query": "SELECT * FROM msg", "where": where}})
    with scene:
        ended = scene.end().failed(2, "settings that say which sales", "--full --restart")
    if s9.type == "postgresql":  # S9 was asked to keep its log before that
        assert "S9 keeps its log" in ended.stderr and "sync --stop" in ended.stderr
    operator.run("--full", "--restart").ended(0)
    with scene:
        scene.catch_up()
        s9.execute("UPDATE msg SET notes = 'chosen' WHERE first_id = 11")
        scene.stop_in_step().ended(0)
    scene.assert_in_step()


def test_the_switch_goes_by_the_log(scene: Scene) -> None:
    """What S9 has committed before a mark in its log is in the target, and after the switch S9
    keeps nothing to be followed."""
    with scene:
        scene.stop_in_step().ended(0)
    change_everything(scene.s9)
    operator = scene.operator
    operator.run("cutover").ended(0)
    scene.s9.execute("UPDATE msg SET notes = 'ultima' WHERE first_id = 11")
    operator.run("cutover", "--s9-is-stopped").ended(0)
    steps = orjson.loads((operator.data / "cutover.json").read_bytes())["steps"]
    passes = [steps[name]["evidence"] for name in ("in-step", "caught-up")]
    assert [each["how"] for each in passes] == ["S9's log"] * 2
    assert all(each["fence"] for each in passes)
    assert [each["changes"] for each in passes] == [7, 1]  # two are new, three changed, two gone
    scene.assert_in_step()
    operator.run("cutover", "--switched").ended(0)
    assert "name" not in scene.state
    operator.run("sync", "--follow").failed(2, "S9 is history")


@ON_POSTGRESQL
def test_a_data_directory_that_was_restored_does_not_go_on_where_another_was(
    scene: Scene, tmp_path: Path
) -> None:
    """S9 has forgotten what the copy has not heard of."""
    data, copy = scene.operator.data, tmp_path / "copy"
    with scene:
        scene.stop_in_step().ended(0)
    shutil.copytree(data, copy)
    with scene:
        scene.s9.execute("UPDATE msg SET notes = 'nuova' WHERE first_id = 11")
        scene.stop_in_step().ended(0)
        shutil.rmtree(data)
        copy.rename(data)
        before = len(scene.told)
        scene.start()
        scene.stop_in_step()
    told = scene.told[before:]
    assert "was read further than is known here" in told and "Comparing everything: " in told
    scene.assert_in_step()


@ON_POSTGRESQL
def test_a_damaged_account_of_how_far_it_was_followed(scene: Scene) -> None:
    """It says what is called so at S9 no more, but the configuration does."""
    operator, state = scene.operator, scene.operator.data / "sync" / "following.json"
    with scene:
        scene.stop_in_step().ended(0)
    for text in (b"", b"{}", b'{"version": 1, "name": 7}', b"\xff"):
        state.write_bytes(text)
        operator.run("status").ended(0)
    assert "S9 keeps its log for somebody" not in operator.run("check").stdout
    scene.s9.execute("UPDATE msg SET notes = 'nuova' WHERE first_id = 11")
    before = len(scene.told)
    with scene:
        scene.running.wait_for(lambda: state.read_bytes().startswith(b'{"version"'))
        scene.stop_in_step().ended(0)
    told = scene.told[before:]
    assert "following.json is damaged" in told and "Comparing everything: " in told
    scene.assert_in_step()
    for arguments in (("sync", "--stop"), ("clean", "--yes")):
        with scene:
            scene.stop_in_step().ended(0)
        state.write_bytes(b"{")
        stopped = operator.run(*arguments).ended(0)
        assert "Taken away at S9: " in stopped.stdout
        assert "following.json is damaged" in stopped.output
        assert not scene.s9.rows("SELECT 1 FROM pg_replication_slots")
        assert not scene.s9.rows("SELECT 1 FROM pg_publication")
        assert not state.exists()


@ON_POSTGRESQL
def test_the_cut_over_where_it_is_not_known_how_far_it_was_followed(scene: Scene) -> None:
    with scene:
        scene.stop_in_step().ended(0)
    (scene.operator.data / "sync" / "following.json").write_bytes(b"{")
    change_everything(scene.s9)
    scene.operator.run("cutover").ended(0)
    scene.operator.run("cutover", "--s9-is-stopped").ended(0)
    scene.assert_in_step()
    scene.operator.run("cutover", "--switched").ended(0)
    assert not scene.s9.rows("SELECT 1 FROM pg_replication_slots")


NOISE = "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)"


def with_a_short_grace(scene: Scene) -> SabotagedOperator:
    """S9 is soon expected to have forgotten what it may, and is looked at all the time."""
    settings = {
        "extract.change_log.postgresql.retained.GRACE": 2.0,
        "extract.following.follower._TOLD_EVERY": 0.2,
    }
    tool = SabotagedOperator.like(scene.operator, set=settings)
    scene.operator = tool.configure(sync={"maxRetainedLog": 1})
    return tool


@ON_POSTGRESQL
def test_more_is_kept_than_may_be(scene: Scene) -> None:
    with_a_short_grace(scene)
    with scene:
        scene.catch_up()
        held = scene.s9.server.connect(scene.s9.name)
        with held.cursor() as cursor:  # a transaction that stays open holds the log
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone() or [0]
            cursor.execute("UPDATE msg SET notes = 'lunga' WHERE first_id = 11")
            scene.s9.execute(NOISE)
            done = scene.end()
        held.close()
    done.failed(1, "maxRetainedLog", "open transactions", f"process {pid} of ", "given free")
    assert not scene.s9.rows("SELECT 1 FROM pg_replication_slots")
    before = len(scene.told)
    with scene:
        scene.stop_in_step().ended(0)
    assert "Comparing everything: " in scene.told[before:]
    scene.assert_in_step()


@ON_POSTGRESQL
def test_what_is_kept_while_everything_is_compared_is_told_and_forgotten_after_it(
    scene: Scene,
) -> None:
    """The first comparison of a busy S9 lasts, and as long S9 has to keep its log."""
    tool = with_a_short_grace(scene)
    tool.hold(phase="transform", entity="sales", after=1)
    with scene:
        running = scene.running
        tool.wait_until_held(running)
        scene.s9.execute(NOISE)
        running.wait_for(lambda: scene.state["retained"] > 1_000_000)
        tool.let_go()
        scene.catch_up()
        scene.s9.execute("CHECKPOINT")  # the server notes now, not some time, what it may forget
        running.wait_for(lambda: scene.state["retained"] < 1_000_000)
        done = scene.stop_in_step().ended(0)
    assert "more than sync.maxRetainedLog names (1 MB)" in done.stderr
    assert scene.s9.rows("SELECT 1 FROM pg_replication_slots")
    scene.assert_in_step()
