"""When a node that died is started again, and how long that waits.

The n-th restart waits min(longest_s, first_s * factor^(n-1)); after `max_restarts` the run fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["never", "on-failure"]


@dataclass(frozen=True)
class RestartPolicy:
    """What the supervisor does about a node that ends with an error."""

    when: When = "on-failure"
    max_restarts: int = 3
    first_delay_s: float = 0.5
    factor: float = 2.0
    longest_delay_s: float = 10.0

    def allows(self, restarts: int) -> bool:
        """Return whether a node that was restarted `restarts` times may be restarted once more."""
        return self.when == "on-failure" and restarts < self.max_restarts

    def delay_s(self, restarts: int) -> float:
        """Return how long to wait before the next restart, after `restarts` of them."""
        return min(self.longest_delay_s, self.first_delay_s * self.factor**restarts)


NEVER = RestartPolicy(when="never", max_restarts=0)
