"""What may be asked of a critic, and errors for what may not; they travel back to the agent that asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.critic.digest import rollout_digest
from agents.critic.errors import DigestError, RolloutError
from agents.critic.rollouts import Rollout
from agents.critic.valuation import Discount
from broker.messages import AdvantageRequest


def end(request: AdvantageRequest) -> int:
    """Return the tick of the state after the last step."""
    return request.first_tick + request.n_steps


def named(request: AdvantageRequest) -> str:
    """Return how messages call a request."""
    steps = f"steps {request.first_tick} to {end(request) - 1}"
    return f"critic: agent {request.agent}, epoch {request.epoch}, {steps}"


def check_sense(request: AdvantageRequest, agents: Sequence[str], epoch: int, longest: int) -> None:
    """Refuse requests for what does not exist.

    Raises:
        RolloutError: for an unknown agent, another epoch than the world's, or numbers out of range.
    """
    fault = ""
    if request.agent not in agents:
        fault = f"no such agent; known are {', '.join(agents)}"
    elif request.epoch != epoch:
        fault = f"the world is in epoch {epoch}; drop the rollout and wait for a reset observation"
    elif request.n_steps < 1 or request.first_tick < 0:
        fault = "first_tick must be 0 or more and n_steps 1 or more"
    elif request.n_steps >= longest:
        fault = f"the critic keeps {longest} grid states; shorten n_steps or raise its history_ticks"
    elif not (0.0 <= request.gamma <= 1.0 and 0.0 <= request.gae_lambda <= 1.0):
        fault = f"gamma is {request.gamma} and gae_lambda {request.gae_lambda}; both must be from 0 to 1"
    if fault:
        msg = f"{named(request)}: {fault}"
        raise RolloutError(msg)


def check_digest(request: AdvantageRequest, rollout: Rollout, agent: int) -> None:
    """Refuse rollouts that the agent saw differently from the grid.

    Raises:
        DigestError: if the agent's rewards and dones are not column `agent` of the grid's.
    """
    expected = rollout_digest(rollout.rewards[..., agent], rollout.dones)
    if request.digest != expected:
        msg = (
            f"{named(request)}: the agent's rewards and dones have digest {request.digest[:16]}, those of "
            f"/grid/state {expected[:16]}; the agent must send the raw rewards of just these steps (no "
            f"VecNormalize of rewards, no reward wrapper)"
        )
        raise DigestError(msg)


def check_gamma(request: AdvantageRequest, others: Mapping[str, Discount]) -> None:
    """Refuse a discount for which the agent's head learns no values.

    Args:
        request: the request.
        others: discounts of the agents that share the head, by name.

    Raises:
        RolloutError: if one of them has another gamma.
    """
    for other, discount in others.items():
        if discount.gamma != request.gamma:
            msg = (
                f"{named(request)}: gamma is {request.gamma}, but {discount.gamma} for {other}, which learns "
                f"from the same reward signal and so the same values; set one gamma, or reward: local"
            )
            raise RolloutError(msg)
