"""Grid states that were lost on the way, asked for again."""

from __future__ import annotations

from agents.critic.errors import RolloutError
from broker import Node
from broker.errors import RequestTimeoutError, ServiceError, ServiceUnavailableError
from broker.messages import GridState, HistoryRequest
from broker.services import HISTORY

TIMEOUT_S = 2.0
TRIES = 3


class History:
    """A client of the simulator's memory."""

    def __init__(self, node: Node) -> None:
        self._client = node.client(HISTORY)

    def recall(self, epoch: int, tick: int) -> GridState:
        """Return one grid state.

        Raises:
            RolloutError: if the simulator does not keep it, or did not answer in several tries.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return self._client.call(HistoryRequest(epoch, tick), timeout_s=TIMEOUT_S)
            except (RequestTimeoutError, ServiceUnavailableError) as error:
                reason = f"after {attempt} tries: {error}"
            except ServiceError as error:
                reason = str(error)
                break
        msg = (
            f"critic: the grid state of epoch {epoch}, tick {tick} came over no topic and is not to be had "
            f"from {HISTORY.name} ({reason}); is the simulator up, and are its history_ticks enough?"
        )
        raise RolloutError(msg)
