"""The second judge: moto's server, with the interface of the embedded AWS.

It is laxer than DynamoDB (keeps 25.50 as written, takes 39 digits and 26 items in a batch), so
no test relies on it alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from utils.embedded.aws import EmbeddedAws


class MotoAws(EmbeddedAws):
    """moto's server in a process of its own."""

    package = "moto"
    distribution = "moto[server]"
    health_path = "/moto-api/data.json"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)]

    def settings(self) -> dict[str, str]:
        return {}
