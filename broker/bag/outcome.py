"""How a replay came out: a line that is shown at its end; one that differs is an error."""

from __future__ import annotations

from broker.bag.comparison import Comparison
from broker.bag.errors import ReplayError
from broker.bag.player import PlayerNode


def outcome(player: PlayerNode, comparison: Comparison, what: str) -> str:
    """Log how a replay came out, and return it for the `result` in the note of the player's last status.

    Args:
        player: whose replay it was.
        comparison: what it found.
        what: which kind of replay.

    Raises:
        ReplayError: not everything was identical, although the replay was not stopped.
    """
    text = f"{what}: {comparison}"
    if not comparison.same and player.going:
        report = player.settings.report
        where = f" ({report} has more)" if report else ""
        msg = (
            f"{text}{where}; to come out as recorded, a replay needs the run's own seed, options, models and "
            "program"
        )
        raise ReplayError(msg)
    if not player.going:
        text += "; it was stopped before its end"
    player.node.log("info", text)
    return text
