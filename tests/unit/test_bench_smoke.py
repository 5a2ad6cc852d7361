"""The bench runs, and what it says of a few hundred records is complete and adds up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.bench import large
from tests.bench.document import DOCUMENT, write_tables
from tests.bench.jobs.raw import Wire
from tests.bench.measure import Figures, Job, run_job
from tests.bench.network.chart import Curve, chart
from tests.bench.network.jobs import ALONE, OTHERS, WRITER, Case, Measurement
from tests.bench.network.report import CHART, NetworkResults, kept_curves
from tests.bench.plan import COMPARISONS, LINES, ON_MYSQL, PHASES, SMALL, WHOLE
from tests.bench.rate import Metered, windows
from tests.bench.report import Target
from tests.bench.sink.capacity import Capacity
from tests.bench.sink.expressions import condition, key_range
from tests.bench.sink.server import Requests, Sink
from tests.bench.sink.store import Refused, Store
from tests.support.places import ROOT
from utils.embedded.mariadb import installed

SALES, PARTIES = 200, 16 + 6
ITEMS = SALES + 3 * SALES + PARTIES


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What a bench of 200 sales prints, and the figures that it keeps."""
    results = tmp_path_factory.mktemp("bench") / "results.jsonl"
    command = [sys.executable, "-m", "tests.bench", "--one-process", "--rounds", "1"]
    command += ["--sales", str(SALES), "--limit", "100", "--results", str(results)]
    command += ["--delays", "1", "--numbers", "2", "--no-metered"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, [orjson.loads(line) for line in results.read_bytes().splitlines()]


def test_everything_is_measured_beside_what_it_is_compared_with(
    bench: tuple[str, list[dict[str, Any]]],
) -> None:
    names = {figures["name"] for figures in bench[1]}
    assert names == {
        *PHASES,
        WHOLE,
        *(f"{phase} {SMALL}" for phase in PHASES),
        *(f"{phase} profile" for phase in PHASES),
        *(f"{phase} {LINES}" for phase in PHASES[:3]),
        *(name for pair in COMPARISONS for name in (pair.name, pair.other)),
        *(f"{job} at 1 ms" for job in (*OTHERS, "load", ALONE, WRITER)),
        *(f"{job} at 1 ms, TLS" for job in ("load", ALONE)),
        "load at 1 ms, 2 in flight",
    } - ({ON_MYSQL, "mariadb_client"} if installed() is None else set())
    assert all(each["figures"]["seconds"] > 0 for each in bench[1])
    assert all(each["machine"] and each["sales"] == SALES for each in bench[1])


def test_every_phase_has_dealt_with_every_item(
    bench: tuple[str, list[dict[str, Any]]],
) -> None:
    items = {each["name"]: each["figures"]["items"] for each in bench[1]}
    whole = [*PHASES, WHOLE, "copy", "json_of_transform", "json_of_validate", "sink_alone"]
    if installed():
        whole += [ON_MYSQL, "mariadb_client"]
    assert {items[name] for name in whole} == {ITEMS}
    assert items["scan_alone"] == items["json_of_pages"] == 4 * SALES
    assert items["batch_writer"] == 100


def test_the_tables_name_every_phase_and_target(
    bench: tuple[str, list[dict[str, Any]]],
) -> None:
    printed = bench[0]
    for phase in (*PHASES, WHOLE):
        assert f"| {phase} | " in printed
    verdicts = ("| not yet |", "| in some rounds |", "| yes |")
    assert sum(map(printed.count, verdicts)) == (14 if installed() else 13)
    for table in ("| Each answer after | `null` | 2 |", "| the rollback of a load, "):
        assert table in printed
    assert "The targets are about a million items" in printed, "a quick look must not mislead"
    for phase in PHASES:
        assert f"**{phase} profile**" in printed


def test_a_measurement_in_a_process_of_its_own_brings_its_figures_back() -> None:
    figures = run_job("bare_python", Job(""))
    assert figures.items == 1
    assert 0 < figures.seconds < 60
    assert figures.peak_mb > 1


def test_a_measurement_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"absent\.json"):
        run_job("transform", Job(str(tmp_path / "absent.json")))


def test_a_target_is_met_only_when_every_round_meets_it() -> None:
    assert Target("rate", [15.0, 17.0], 15).verdict == "yes"
    assert Target("rate", [14.0, 17.0], 15).verdict == "in some rounds"
    assert Target("rate", [9.0, 11.0], 15).verdict == "not yet"
    assert Target("peak", [215.0, 301.0], 300, at_most=True).verdict == "in some rounds"


def test_a_table_with_a_capacity_takes_no_more_than_its_bucket_holds() -> None:
    now = [0.0]
    bucket = Capacity(units=100, burst=1, clock=lambda: now[0])
    line = orjson.dumps(item(1))  # one unit in the table, one in the index
    assert bucket.take([line] * 25) == 25
    assert bucket.take([line] * 30) == 25
    now[0] = 0.1
    assert bucket.take([line] * 25) == 5
    assert (bucket.refused, [units for _, units in bucket.taken]) == (2, [50, 50, 10])


def test_rates_are_looked_at_over_any_ten_seconds_after_the_first_five() -> None:
    steady = [(second / 10, 10.0) for second in range(300)]
    assert windows(steady) == pytest.approx((100, 100), rel=0.02)
    burst = [(at, units + 500 * (at == 15.0)) for at, units in steady]
    assert windows(burst)[1] == pytest.approx(150, rel=0.02)
    late = [(at, units * (at > 4)) for at, units in burst]
    metered = Metered.of(100, late, 3)
    assert metered.lowest == pytest.approx(100, rel=0.02)
    assert "| 100 | 30 s | " in metered.row() and metered.row().endswith("| 3 of 300 |")


def over_a_network(**rates: float) -> NetworkResults:
    """Results of loads at 15 ms, by their numbers in flight."""
    found = {
        int(name[1:]): Figures(100, 100 / rate, 1, 9, sum_mb=9) for name, rate in rates.items()
    }
    return NetworkResults([Measurement(Case("load", 15, n), 1, each) for n, each in found.items()])


def test_the_own_choice_is_measured_by_the_best_fixed_number() -> None:
    targets = {each.words: each for each in over_a_network(n0=81, n8=70, n16=90).targets()}
    share = targets["load at 15 ms: share of the best fixed number"]
    assert share.rounds == pytest.approx([0.9]) and share.verdict == "yes"
    assert targets["load at 15 ms, items/s"].verdict == "not yet"
    assert "| 15 ms | 81 | 70 | 90 | | |" in over_a_network(n0=81, n8=70, n16=90).loads()


def test_the_chart_in_the_documentation_is_drawn_by_the_bench(tmp_path: Path) -> None:
    text = (ROOT / CHART).read_text(encoding="utf-8")
    assert text == chart(kept_curves())
    assert "21,000 at 15 ms" in chart([Curve("own choice", ((0, 40_000), (15, 21_000)))])
    document = tmp_path / "performance.md"
    document.write_bytes((ROOT / DOCUMENT).read_bytes())
    parts = {name: f"| {name} |" for name in ("phases", "targets", "network")}
    for _ in range(2):
        write_tables(document, parts)
    written = document.read_text(encoding="utf-8")
    assert all(written.count(f"\n\n{part}\n\n<!-- end -->") == 1 for part in parts.values())
    with pytest.raises(ValueError, match="no place for weather"):
        write_tables(document, {"weather": ""})


# The sink ---------------------------------------------------------------------------------------


def answer(store: Store, operation: str, **request: Any) -> Any:
    return orjson.loads(store.answer(operation, orjson.dumps(request)))


def item(number: int, **more: str) -> dict[str, Any]:
    keys = {"PK": f"SALE#{number}", "SK": "METADATA", "GSI1PK": "STATUS#paid", "GSI1SK": "2020"}
    return {name: {"S": text} for name, text in {**keys, **more}.items()}


def filled(count: int) -> Store:
    """A store with one table, written to in one batch."""
    store = Store()
    answer(store, "CreateTable", TableName="T")
    puts = [{"PutRequest": {"Item": item(number, name='"è"}},{')}} for number in range(count)]
    written = answer(store, "BatchWriteItem", RequestItems={"T": puts})
    assert written["UnprocessedItems"] == {}
    return store


def test_a_scan_of_the_sink_gives_back_every_item_once_over_all_segments() -> None:
    store = filled(25)
    found: list[dict[str, Any]] = []
    for segment in range(3):
        start: dict[str, Any] = {}
        while True:
            page = answer(
                store, "Scan", TableName="T", Segment=segment, TotalSegments=3, Limit=4, **start
            )
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [item(number, name='"è"}},{') for number in range(25)]


def test_the_sink_finds_by_key_and_by_index() -> None:
    store = filled(12)
    key = item(7)
    assert answer(store, "GetItem", TableName="T", Key={"PK": key["PK"], "SK": key["SK"]})["Item"]
    by_status = answer(
        store,
        "Query",
        TableName="T",
        KeyConditionExpression="GSI1PK = :partition",
        ExpressionAttributeValues={":partition": {"S": "STATUS#paid"}},
        Limit=5,
    )
    assert by_status["Count"] == 5
    answer(store, "Clear")
    assert answer(store, "Count") == {"T": 0}


def test_each_phase_and_the_whole_are_measured_at_any_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["large", "200"])
    large.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*PHASES, WHOLE]
    assert len({line.partition(" items in ")[0].split()[-1] for line in lines}) == 1


def test_the_sink_swallows_what_goes_to_a_table_that_nobody_created() -> None:
    store = Store()
    puts = [{"PutRequest": {"Item": item(1)}}]
    written = answer(store, "BatchWriteItem", RequestItems={"Nowhere": puts})
    assert written["ConsumedCapacity"] == [{"TableName": "Nowhere", "CapacityUnits": 1.0}]
    with pytest.raises(Refused):
        answer(store, "Scan", TableName="Nowhere")


def test_the_sink_deletes_replaces_and_tells_what_is_left() -> None:
    store, if_absent = filled(6), {"ConditionExpression": "attribute_not_exists(#k)"}
    keys = [{name: item(number)[name] for name in ("PK", "SK")} for number in range(9)]
    answer(store, "PutItem", TableName="T", Item=item(6), **if_absent)
    answer(store, "PutItem", TableName="T", Item=item(2, name="changed"))
    other = item(7, GSI1PK="STATUS#sent")
    backwards = dict(sorted(other.items()))  # as the canonical form has it
    deletions = [{"Delete": {"TableName": "T", "Key": key}} for key in keys[:2]]
    puts = [{"Put": {"TableName": "T", "Item": backwards, **if_absent}}]
    for writes in (deletions, [{"Delete": {"TableName": "T", "Key": keys[3]}}, *puts]):
        done = answer(store, "TransactWriteItems", TransactItems=writes)
        assert done["ConsumedCapacity"] == [{"TableName": "T", "CapacityUnits": 4}]
    answer(store, "DeleteItem", TableName="T", Key=keys[4])
    found = answer(store, "BatchGetItem", RequestItems={"T": {"Keys": keys}})
    texts = [each["PK"]["S"] for each in found["Responses"]["T"]]
    assert texts == ["SALE#2", "SALE#5", "SALE#6", "SALE#7"]
    assert answer(store, "Count") == {"T": 4}
    answer(store, "Prepare")
    assert [each["PK"]["S"] for each in answer(store, "Scan", TableName="T")["Items"]] == texts
    paid = answer(
        store,
        "Query",
        TableName="T",
        KeyConditionExpression="GSI1PK = :partition",
        ExpressionAttributeValues={":partition": {"S": "STATUS#paid"}},
    )
    assert paid["Items"] == [item(2, name="changed"), item(5, name='"è"}},{'), item(6)]


def test_no_part_of_a_scan_begins_within_a_record() -> None:
    store = Store()
    answer(store, "CreateTable", TableName="T")
    lines = [item(number) | {"SK": {"S": f"LINE#{n}"}} for number in range(3) for n in range(4)]
    mixed = lines[::2] + lines[1::2]
    puts = [{"PutRequest": {"Item": each}} for each in mixed]
    answer(store, "BatchWriteItem", RequestItems={"T": puts})
    answer(store, "Prepare")
    parts = [
        answer(store, "Scan", TableName="T", Segment=part, TotalSegments=5)["Items"]
        for part in range(5)
    ]
    records = [{each["PK"]["S"] for each in part} for part in parts]
    assert sum(map(len, records)) == 3
    assert [each for part in parts for each in part] == lines


def test_whoever_does_not_take_his_answers_keeps_nobody_waiting() -> None:
    name = "x" * 300_000
    with Sink() as sink:
        sink.ask("CreateTable", orjson.dumps({"TableName": "T"}))
        puts = [{"PutRequest": {"Item": item(number, name=name)}} for number in range(3)]
        sink.ask("BatchWriteItem", orjson.dumps({"RequestItems": {"T": puts}}))
        for endpoint in (sink.endpoint, sink.encrypted_endpoint):
            for delay in (0.0, 0.01):
                sink.delay(delay)
                with Wire(endpoint, sink.certificate) as slow:
                    for _ in range(20):
                        slow.send("Scan", b'{"TableName":"T"}')
                    assert sink.count() == {"T": 3}
                    answers = [orjson.loads(slow.receive())["Items"] for _ in range(20)]
                assert answers == [[item(number, name=name) for number in range(3)]] * 20


def test_requests_are_cut_out_of_the_stream_wherever_it_is_broken() -> None:
    stream = b"POST / HTTP/1.1\r\nX-Amz-Target: D.Scan\r\nContent-Length: 3\r\n\r\n{1}" * 3
    requests = Requests()
    found: list[tuple[bytes, bytes]] = []
    for start in range(0, len(stream), 7):
        found += requests.feed(stream[start : start + 7])
    assert found == [(b"Scan", b"{1}")] * 3


def test_an_expression_that_the_sink_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="size"):
        condition("size(PK) > :one", {})
    with pytest.raises(ValueError, match="<"):
        key_range("PK < :key", {})
