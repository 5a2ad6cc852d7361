"""Rollback goes by record and by reference; what is needed for it lives until another run has
written; what arrives late is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.application.desk import Desk
from tests.support.application.desks import desk_with, does
from tests.support.application.parties_and_sales import sale_of
from tests.support.application.sale_module import SaleModule, torn
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error, refusing
from tests.support.records.transformed import identity
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ConfigurationError, RunInterrupted, TargetError
from utils.files.encryption import new_identity
from utils.run.lifecycle import Start

pytestmark = pytest.mark.usefixtures("quick")
SALE = f"SALE#{identity('sale', 1)}"
OTHER = f"SALE#{identity('sale', 2)}"
BUYER, PRODUCER = f"BUYER#{identity('buyer', 1)}", f"PRODUCER#{identity('producer', 1)}"


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws) -> Iterator[Desk]:
    """Two buyers and producers; sale 1 of the first ones has two lines, sale 2 has one."""
    with desk_with(tmp_path, aws, [sale_of(1, lines=2), sale_of(2, buyer=2)]) as opened:
        yield opened


def keys(desk: Desk) -> set[str]:
    """The partition keys that there are."""
    return {pk for pk, _ in desk.scan()}


ACTS = ["edit", "add_line", "edit_line", "delete_line", "delete_sale", "confirm", "attach"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_of_the_application_keeps_the_whole_sale_with_its_parties(
    desk: Desk, application: SaleModule, act: str
) -> None:
    """A1."""
    desk.full()
    loaded = desk.scan()
    does(getattr(application, act)(SALE))
    there = desk.scan()
    foreseen = desk.foreseen()
    assert desk.scan() == there
    rolled = desk.rollback()
    kept = {BUYER, PRODUCER, SALE}
    assert keys(desk) == kept
    assert desk.scan() == {key: item for key, item in there.items() if key[0] in kept}
    assert not torn(desk.scan())
    assert rolled.reasons == foreseen.reasons == {"changed": 1, "inUse": 2}
    assert rolled.figures == foreseen.figures
    assert rolled.closes
    assert rolled.figures["sales"].created_kept == 3
    assert len(loaded) == 9


def test_a_sale_of_its_own_keeps_the_migrated_parties_that_it_names(
    desk: Desk, application: SaleModule
) -> None:
    """A1."""
    desk.full()
    does(application.create_sale(BUYER, PRODUCER))
    foreseen = desk.foreseen()
    rolled = desk.rollback()
    own = keys(desk) - {BUYER, PRODUCER}
    assert len(own) == 1
    assert not own & {SALE, OTHER}
    assert not torn(desk.scan())
    assert rolled.reasons == foreseen.reasons == {"inUse": 2}
    assert own.pop() in rolled.first[0]


@pytest.mark.parametrize("act", ["edit", "add_line", "delete_line", "attach"])
@pytest.mark.parametrize("seen", [0, 1, 2], ids=["read", "written to", "done with"])
@pytest.mark.parametrize("operation", ["Query", "TransactWriteItems"])
def test_what_the_application_does_between_look_and_write_tears_no_record(
    desk: Desk, application: SaleModule, aws: EmbeddedAws, act: str, seen: int, operation: str
) -> None:
    """A1: an act that is so far when the first request of a kind arrives, and goes on after it."""
    desk.full()
    acts: list[Any] = []

    def meanwhile(request: Request) -> Answer | None:
        if request.operation == operation and not acts:
            acts.append(getattr(application, act)(SALE))
            for _ in range(seen + 1):
                next(acts[0], None)
        return None

    desk.clock.meanwhile = lambda: does(acts[0])
    with FaultyProxy(aws, Plan(always=meanwhile)) as proxy:
        desk.settings(endpoint=proxy.url)
        rolled = desk.rollback()
    there = desk.scan()
    assert not application.undone(there)
    assert not torn(there)
    assert {pk for pk, _ in there} == {SALE, BUYER, PRODUCER}
    assert rolled.closes
    assert rolled.reasons == {"changed": 1, "inUse": 2}


@pytest.mark.parametrize("others", [0, 9], ids=["nearly empty", "holds more than was loaded"])
def test_a_second_look_sees_what_was_written_to_a_deleted_sale_whatever_else_is_there(
    desk: Desk, application: SaleModule, aws: EmbeddedAws, others: int
) -> None:
    """Records of which nothing is left are not asked for one by one where a scan can tell."""
    desk.full()
    for number in range(others):
        desk.client.put_item(
            TableName=desk.table("sales"),
            Item={"PK": {"S": f"NOTE#{number}"}, "SK": {"S": "METADATA"}},
        )
    acts: list[Any] = []
    asked: list[bytes] = []

    def meanwhile(request: Request) -> Answer | None:
        if request.operation == "TransactWriteItems" and not acts:
            acts.append(application.edit(SALE))
            next(acts[0])  # it has read the sale
        if desk.clock.slept and request.operation == "Query" and b"IndexName" not in request.body:
            asked.append(request.body)
        return None

    desk.clock.meanwhile = lambda: does(acts[0])
    with FaultyProxy(aws, Plan(always=meanwhile)) as proxy:
        desk.settings(endpoint=proxy.url)
        rolled = desk.rollback()
    assert {pk for pk, _ in desk.scan()} - {f"NOTE#{n}" for n in range(others)} == {
        SALE,
        BUYER,
        PRODUCER,
    }
    assert not application.undone(desk.scan())
    assert rolled.reasons == {"changed": 1, "inUse": 2}
    assert any(SALE.encode() in body for body in asked)
    assert any(OTHER.encode() in body for body in asked) == bool(others)


def test_a_party_that_is_named_just_after_it_was_deleted_is_put_back(
    desk: Desk, application: SaleModule
) -> None:
    """A1: an index may be late; and who has read a buyer may write a sale of it afterwards."""
    desk.full()
    act = application.create_sale(BUYER, PRODUCER)
    next(act)
    desk.clock.meanwhile = lambda: does(act)
    rolled = desk.rollback()
    assert not application.undone(desk.scan())
    assert not torn(desk.scan())
    assert rolled.reasons == {"inUse": 2}
    assert rolled.figures["buyers"].created_kept == 1


def test_a_sale_of_more_lines_than_a_transaction_takes_is_undone_or_kept_whole(
    desk: Desk, application: SaleModule, aws: EmbeddedAws
) -> None:
    """A1."""
    desk.records["sales"] = [sale_of(1, lines=250), sale_of(2, lines=101, buyer=2)]
    desk.full()
    asked: list[str] = []

    def meanwhile(request: Request) -> Answer | None:
        if request.operation == "TransactWriteItems" and SALE.encode() in request.body:
            asked.append(request.operation)
            if len(asked) == 2:  # the header is gone with the first hundred
                does(application.attach(OTHER))
                line = desk.records["sales"][0][-1]
                application._update("sales", line, notes={"S": "edited"})
        return None

    with FaultyProxy(aws, Plan(always=meanwhile)) as proxy:
        desk.settings(endpoint=proxy.url, workers=1)
        rolled = desk.rollback()
    assert not application.undone(desk.scan())
    assert not torn(desk.scan())
    assert rolled.closes
    assert rolled.figures["sales"].created_kept == 251 + 102 * (OTHER in keys(desk))


@pytest.mark.parametrize("on_conflict", ["skip", "newer", "overwrite"])
def test_a_later_full_run_completes_what_a_rollback_has_left(
    desk: Desk, application: SaleModule, on_conflict: str
) -> None:
    """A1."""
    desk.full()
    whole = desk.scan()
    does(application.edit(SALE))
    does(application.create_sale(BUYER, PRODUCER))
    desk.rollback()
    desk.settings(on_conflict=on_conflict)
    desk.full()
    assert desk.scan().keys() >= whole.keys()
    assert not torn(desk.scan())
    if on_conflict != "overwrite":
        assert not application.undone(desk.scan())


def test_a_replaced_record_is_put_back_whole_or_not_at_all(
    desk: Desk, application: SaleModule
) -> None:
    """A1: a line was replaced, and another is as it was before the run."""
    desk.full()
    first = desk.scan()
    desk.records["sales"] = [sale_of(1, lines=2, cents=2000), sale_of(2, buyer=2, cents=3000)]
    desk.settings(on_conflict="overwrite")
    desk.full()
    does(application.attach(SALE))
    second = desk.scan()
    rolled = desk.rollback()
    there = desk.scan()
    expected = {key: (second if key[0] == SALE else first)[key] for key in second}
    assert there == expected
    assert rolled.figures["sales"].replaced_kept == 3
    assert rolled.figures["sales"].restored == 2
    assert not torn(there)


def test_a_refused_record_on_which_the_application_has_worked_stays_whole(
    desk: Desk, application: SaleModule, aws: EmbeddedAws
) -> None:
    """A1: withdrawal goes by record as well."""
    refused = desk.records["sales"][0][-1]
    other = desk.records["sales"][1][-1]

    def decide(request: Request) -> Answer | None:
        if request.operation == "Query" and not application.done:
            header = desk.records["sales"][0][0]
            application._update("sales", header, notes={"S": "edited"})
        return refusing(refused)(request) or refusing(other)(request)

    with FaultyProxy(aws, Plan(always=decide)) as proxy:
        desk.settings(endpoint=proxy.url)
        run = desk.full()
    there = desk.scan()
    assert not application.undone(there)
    assert {pk for pk, _ in there if pk.startswith("SALE")} == {SALE}
    assert sum(pk == SALE for pk, _ in there) == 2  # the header and the line that was taken
    result = run.manifest.phases["load"]["sales"].result
    assert (result["refusedRecords"], result["keptRecords"]) == (1, 1)


# -- what lives between runs ----------------------------------------------------------------


def test_a_run_that_stops_before_its_first_write_takes_no_way_back_away(
    desk: Desk, application: SaleModule
) -> None:
    """C2."""
    first = desk.full().manifest.run_id
    does(application.edit(OTHER))
    desk.records["sales"][1][0]["notes"] = {"S": "changed in S9"}
    for _ in range(2):
        with pytest.raises(TargetError, match="different content"):
            desk.full(Start.RESTART)
    rolled = desk.rollback()
    assert rolled.run == first
    assert keys(desk) == {
        OTHER,
        f"BUYER#{identity('buyer', 2)}",
        f"PRODUCER#{identity('producer', 2)}",
    }
    assert desk.manifest().rolled_back == ""  # the run that has stopped can go on
    desk.settings(on_conflict="skip")
    desk.resume()
    assert not torn(desk.scan())


def test_a_run_that_writes_nothing_takes_no_way_back_away(desk: Desk) -> None:
    """C23."""
    first = desk.full().manifest.run_id
    desk.full()
    desk.full()
    rolled = desk.rollback()
    assert rolled.run == first
    assert rolled.done == 9
    assert not desk.scan()
    with pytest.raises(ConfigurationError, match="undone already"):
        desk.rollback()
    with pytest.raises(ConfigurationError, match="was undone"):
        desk.resume()


def test_a_run_that_may_not_write_takes_no_way_back_away(desk: Desk, aws: EmbeddedAws) -> None:
    """C2: it is stopped at its first request."""
    first = desk.full().manifest.run_id
    desk.records["sales"].append(sale_of(3))

    def deny(request: Request) -> Answer | None:
        if request.operation == "BatchWriteItem":
            return error("AccessDeniedException", "not authorized to perform that")
        return None

    with FaultyProxy(aws, Plan(always=deny)) as proxy:
        desk.settings(endpoint=proxy.url)
        with pytest.raises(TargetError, match="denies access"):
            desk.full()
        desk.settings(endpoint=aws.endpoint_url)
    rolled = desk.rollback()
    assert rolled.run == first
    assert not desk.scan()


def test_once_another_run_has_written_it_is_that_one(desk: Desk) -> None:
    """C2."""
    desk.full()
    first = desk.scan()
    desk.records["sales"].append(sale_of(3))
    second = desk.full().manifest.run_id
    rolled = desk.rollback()
    assert rolled.run == second
    assert desk.scan() == first
    with pytest.raises(ConfigurationError, match="undone already"):
        desk.rollback()


def test_what_was_loaded_stays_known_when_it_is_transformed_anew(desk: Desk) -> None:
    """C2."""
    desk.full()
    desk.records["sales"] = [sale_of(2, buyer=2, cents=5)]
    with desk.at_work(Start.BY_HAND) as run:
        desk.prepare(run)
    desk.rollback()
    assert not desk.scan()


def test_an_earlier_load_is_encrypted_at_rest_and_opened_for_the_rollback(
    desk: Desk, tmp_path: Path
) -> None:
    """C2."""
    identity_of, public = new_identity()
    key = tmp_path / "key"
    key.write_text(f"{identity_of}\n")
    desk.seal_for(str(public))
    desk.full()
    desk.full()
    readable = [path for path in desk.root.rglob("*.loaded") if b"Officine" in path.read_bytes()]
    assert not readable
    with pytest.raises(ConfigurationError, match="is encrypted"):
        desk.rollback()
    desk.seal_for(str(public), str(key))
    desk.rollback()
    assert not desk.scan()


# -- requests that are on their way ---------------------------------------------------------


def held_load(desk: Desk, aws: EmbeddedAws) -> list[Request]:
    """A load that is killed while its last batch is on the way; returns that."""
    held: list[Request] = []

    def hold(request: Request) -> Answer | None:
        if SALE.encode() not in request.body:
            return None
        if request.operation == "BatchWriteItem":
            held.append(request)
        if request.operation in ("BatchWriteItem", "PutItem"):
            return error("InternalServerError", "held", 500)
        return None

    with FaultyProxy(aws, Plan(always=hold)) as proxy:
        desk.settings(endpoint=proxy.url)
        desk.killed(lambda: bool(held))
        desk.settings(endpoint=aws.endpoint_url)
    return held


def test_what_arrives_after_the_rollback_of_a_killed_load_is_undone(
    desk: Desk, aws: EmbeddedAws
) -> None:
    """A12."""
    held = held_load(desk, aws)
    desk.clock.meanwhile = lambda: desk.arrives(held)
    rolled = desk.rollback()
    assert desk.clock.slept == [pytest.approx(35.0)]
    assert rolled.late == 2
    assert not desk.scan()
    # Even later: it is typed again.
    desk.clock.meanwhile = lambda: None
    desk.arrives(held)
    assert desk.scan()
    again = desk.rollback()
    assert (again.again, again.late) == (True, 2)
    assert not desk.scan()
    assert desk.rollback().late == 0
    desk.full()
    assert len(desk.scan()) == 9


def test_after_a_load_that_was_stopped_in_order_nothing_is_waited_for(
    desk: Desk, aws: EmbeddedAws
) -> None:
    """A12."""

    def stop(request: Request) -> Answer | None:
        if request.operation == "BatchWriteItem" and SALE.encode() in request.body:
            desk.stop()
        return None

    with FaultyProxy(aws, Plan(always=stop)) as proxy:
        desk.settings(endpoint=proxy.url, batch_size=1, workers=1)
        with pytest.raises(RunInterrupted):
            desk.full()
        desk.settings(endpoint=aws.endpoint_url)
    rolled = desk.rollback()
    assert sum(desk.clock.slept) < 5
    assert rolled.closes
    assert not desk.scan()
