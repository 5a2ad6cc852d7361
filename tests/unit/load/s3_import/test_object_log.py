"""What is known of objects in S3, whatever was cut short."""

from __future__ import annotations

from pathlib import Path

from load.s3_import.object_log import LoggedObject, ObjectLog


def logged(number: int) -> LoggedObject:
    return LoggedObject(number, f"a/{number}", 3, 300, 30, "ab", '"cd"')


def test_what_was_added_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "import" / "sales.objects"
    with ObjectLog(path) as log:
        log.add(logged(0))
        log.add(logged(4))
    with ObjectLog(path) as log:
        assert log.objects == {0: logged(0), 4: logged(4)}
        assert (log.items, log.bytes, log.stored_bytes) == (6, 600, 60)


def test_a_last_line_that_was_cut_short_was_not_written(tmp_path: Path) -> None:
    path = tmp_path / "sales.objects"
    with ObjectLog(path) as log:
        log.add(logged(0))
        log.add(logged(1))
    path.write_bytes(path.read_bytes()[:-9])
    with ObjectLog(path) as log:
        assert log.objects == {0: logged(0)}
        log.add(logged(2))
    with ObjectLog(path) as log:
        assert list(log.objects) == [0, 2]
