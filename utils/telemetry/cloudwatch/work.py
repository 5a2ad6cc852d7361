"""What goes to CloudWatch in a run: its log lines and its figures, as the configuration says."""

from __future__ import annotations

from utils.config import Config
from utils.logger import add_lines
from utils.telemetry.cloudwatch import logs, metrics
from utils.telemetry.cloudwatch.troubles import Troubles
from utils.telemetry.cloudwatch.uplink import Uplink, settle
from utils.telemetry.events import EventStream
from utils.wording.figures import counted

END_SECONDS = 5.0  # for which the end of a command waits for CloudWatch at most, all in all
NO_RUN = "commands"  # the stream of commands that are no run: a backup, a restore
_LOGS_EVERY = 10.0
_METRICS_EVERY = 30.0


class Work:
    """Sends from its making on."""

    def __init__(self, config: Config, run_id: str, events: EventStream) -> None:
        wanted = config.logging
        self._left = END_SECONDS
        self._uplinks: list[Uplink] = []
        self._lines = logs.CloudWatchLines()
        self._sums = metrics.MetricSums()
        self._log_sender = logs.LogSender(self._lines, config.target, wanted, run_id or NO_RUN)
        metric_sender = metrics.MetricSender(self._sums, config.target)
        settings = {
            "cloudWatch": wanted.cloud_watch,
            "cloudWatchMetrics": wanted.cloud_watch_metrics,
        }
        off = " and ".join(f"logging.{name}" for name, is_on in settings.items() if is_on)
        self._troubles = Troubles(config.target, off)
        if wanted.cloud_watch:
            add_lines(self._lines, wanted, run_id)
            self._link(logs.SERVICE, self._log_sender, self._lines, _LOGS_EVERY)
        if wanted.cloud_watch_metrics:
            events.listen(self._sums)
            self._link(metrics.SERVICE, metric_sender, self._sums, _METRICS_EVERY)

    def _link(
        self,
        service: str,
        sender: logs.LogSender | metrics.MetricSender,
        waiting: logs.CloudWatchLines | metrics.MetricSums,
        every: float,
    ) -> None:
        uplink = Uplink(
            service, sender.send, lambda: not waiting.waiting, self._troubles, every=every
        )
        self._uplinks.append(uplink)
        uplink.start()

    def settle(self) -> None:
        """As `settle_cloudwatch` says."""
        self._settle(closing=False)

    def close(self) -> None:
        """As `close_cloudwatch` says."""
        self._settle(closing=True)
        self._log_sender.close()

    def _settle(self, *, closing: bool) -> None:
        self._left = settle(self._uplinks, self._left, closing=closing)
        if closing or self._left == 0.0:
            self._say_what_is_left()

    def _say_what_is_left(self) -> None:
        if lost := self._lines.waiting + self._lines.dropped:
            what = counted(lost, "line of the log", "lines of the log")
            self._troubles.left(logs.SERVICE, what)
        if lost := self._sums.waiting:
            self._troubles.left(metrics.SERVICE, counted(lost, "metric"))
