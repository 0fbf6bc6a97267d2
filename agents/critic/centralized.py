"""The centralized critic without I/O: grid states and requests in, advantages out, trained between rounds.

What it answers and learns depends on the grid states and on what is asked, never on the order or the time
of arrival: values of a round come from the network as it was before that round, and the round is trained on
once, when all agents have their answer or when somebody asks for a later one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from agents.critic import requests
from agents.critic.errors import CheckpointError, RolloutError
from agents.critic.rewards import reward_signals
from agents.critic.rollouts import StateStore
from agents.critic.rounds import Round
from agents.critic.settings import CriticSettings
from agents.critic.trainer import UpdateReport, ValueTrainer
from agents.critic.valuation import Discount, value_rollout
from agents.description import copies_per_scenario
from broker.messages import AdvantageRequest, Advantages, GridDescription, GridState

CLOSED_ROUNDS = 2  # trained rounds that late questions are still answered from


class CentralizedCritic:
    """One value network on the global state, for all agents of one grid.

    Args:
        description: the grid.
        settings: the network and its training.
        learners: the agents that will ask; None: all.

    Raises:
        RolloutError: if a learner is no agent of the grid.
    """

    def __init__(
        self, description: GridDescription, settings: CriticSettings, learners: Sequence[str] | None = None
    ) -> None:
        self.settings = settings
        self.agents = description.agents
        self.learners = frozenset(self.agents if learners is None else learners)
        if not self.learners <= set(self.agents):
            msg = f"critic: learners {sorted(self.learners)} are not all agents of the grid: {self.agents}"
            raise RolloutError(msg)
        self.n_envs = description.n_envs
        self._copies_per_scenario = copies_per_scenario(description)
        self.signals = reward_signals(settings, self.agents, json.loads(description.neighbours or "{}"))
        n_inputs = description.state_dim + description.in_flight_dim
        self.trainer = ValueTrainer(n_inputs, self.signals.n_heads, settings)
        self.store = StateStore(settings.history_ticks)
        self.skipped_rounds = 0  # never trained on, because their grid states were lost
        self._start_epoch(description.epoch)

    def _start_epoch(self, epoch: int) -> None:
        self.store.start_epoch(epoch)
        self.trained_until: int | None = None  # tick of the last state of the last step trained on
        self.open: Round | None = None
        self._closed: deque[Round] = deque(maxlen=CLOSED_ROUNDS)
        self._resumed = False

    def describe(self, description: GridDescription) -> None:
        """Take note of a newer epoch of the same grid.

        Raises:
            RolloutError: if the grid is another one.
        """
        inputs = description.state_dim + description.in_flight_dim
        got = (description.agents, description.n_envs, inputs)
        expected = (self.agents, self.n_envs, self.trainer.n_inputs)
        if got != expected:
            msg = (
                f"critic: /grid/description of epoch {description.epoch} has (agents, copies, inputs) {got}, "
                f"expected {expected} as before; start a new critic for another grid"
            )
            raise RolloutError(msg)
        if description.epoch > self.store.epoch:
            self._start_epoch(description.epoch)

    def observe(self, state: GridState) -> None:
        """Take a grid state as it was published."""
        if self._resumed and state.epoch == self.store.epoch:
            self._resumed = False
            if self.trained_until is not None and state.tick < self.trained_until:
                self._start_epoch(state.epoch)  # another world that counts from the same epoch
        self.recall(state)

    def recall(self, state: GridState) -> None:
        """Take a grid state that was asked for again."""
        got = (len(state.state), state.state.shape[1] + state.in_flight.shape[1], state.rewards.shape[1])
        expected = (self.n_envs, self.trainer.n_inputs, len(self.agents))
        if got != expected:
            msg = (
                f"critic: grid state of epoch {state.epoch}, tick {state.tick} has (copies, inputs, rewards) "
                f"{got}, but /grid/description says {expected}"
            )
            raise RolloutError(msg)
        if state.epoch > self.store.epoch:
            self._start_epoch(state.epoch)
        self.store.add(state)

    def overdue(self, request: AdvantageRequest) -> bool:
        """Return whether the open round must be trained on before `request` is answered."""
        self._agent(request)
        return self.open is not None and requests.end(request) > self.open.end

    def missing_to_train(self) -> list[int]:
        """Return the ticks without which the open round cannot be trained on; some only after a restart."""
        if self.open is None:
            return []
        start = self.open.training_start(self.trained_until)
        if start >= self.open.end or start in self.open.valuations:
            return []
        return self.store.missing(start, self.open.end)

    def missing(self, request: AdvantageRequest) -> list[int]:
        """Return the ticks without which `request` cannot be answered."""
        self._agent(request)
        known = self._find(requests.end(request))
        if known is not None and request.first_tick in known.valuations:
            return []
        return self.store.missing(request.first_tick, requests.end(request))

    def answer(self, request: AdvantageRequest) -> Advantages:
        """Return the advantages asked for.

        Raises:
            RolloutError: if the request makes no sense, or grid states are missing.
            DigestError: if the agent saw other rewards or dones than the grid published.
        """
        agent = self._agent(request)
        end = requests.end(request)
        if self.overdue(request):
            self.train()
        round_ = self._find(end) or Round(end)
        valuation = round_.valuations.get(request.first_tick)
        if valuation is None:
            valuation = value_rollout(
                self.trainer, self.store.rollout(request.first_tick, request.n_steps), self.signals
            )
        requests.check_digest(request, valuation.rollout, agent)
        requests.check_gamma(
            request, {self.agents[i]: d for i, d in round_.sharing(agent, self.signals.head_of)}
        )
        if self.open is None and end > (self.trained_until or 0):
            self.open = round_
        discount = Discount(request.gamma, request.gae_lambda)
        round_.enter(agent, request.first_tick, discount, valuation)
        return valuation.answer(self.signals.head_of[agent], discount, self._copies_per_scenario)

    @property
    def due(self) -> bool:
        """Return whether all learners have been answered, so that the open round can be trained on."""
        return self.open is not None and self.learners <= {self.agents[i] for i in self.open.asked}

    def train(self) -> UpdateReport | None:
        """Train on the open round, once, and close it; None if nothing is left to train on.

        Steps that an earlier round was trained on are left out, so that an agent whose rollouts are out
        of step with the others' does not make them count twice.
        """
        missing = self.missing_to_train()
        round_, self.open = self.open, None
        if round_ is None:
            return None
        start = round_.training_start(self.trained_until)
        self.trained_until = round_.end
        self._closed.append(round_)
        if missing:
            self.skipped_rounds += 1
            return None
        report = self._update(round_, start) if start < round_.end else None
        self.store.drop_before(min(closed.first for closed in self._closed))
        return report

    def _update(self, round_: Round, start: int) -> UpdateReport:
        valuation = round_.valuations.get(start)
        if valuation is None:
            rollout = self.store.rollout(start, round_.end - start)
            valuation = value_rollout(self.trainer, rollout, self.signals)
        targets = valuation.targets(round_.discounts(self.signals.head_of))
        return self.trainer.update(valuation.rollout.inputs[:-1], targets)

    def _agent(self, request: AdvantageRequest) -> int:
        """Return the index of the agent that asks, if it asks for something that exists."""
        requests.check_sense(request, self.agents, self.store.epoch, self.settings.history_ticks)
        return self.agents.index(request.agent)

    def _find(self, end: int) -> Round | None:
        known = [*self._closed, *([self.open] if self.open else [])]
        return next((round_ for round_ in known if round_.end == end), None)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a restarted critic needs to go on as if nothing had happened."""
        return {
            "agents": list(self.agents),
            "inputs": self.trainer.n_inputs,
            "heads": self.trainer.n_heads,
            "epoch": self.store.epoch,
            "trained_until": self.trained_until,
            "open": self.open.state_dict() if self.open is not None else None,
            "trainer": self.trainer.state_dict(),
        }

    def journal(self) -> object:
        """Return what a checkpoint must hold of the open round; equal as long as none needs to be written."""
        if self.open is None or not self.open.asked:
            return None
        start = self.open.training_start(self.trained_until)
        return self.open.end, start, self.open.discounts(self.signals.head_of)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called; of another epoch, take only what was learned.

        Raises:
            CheckpointError: if it belongs to another grid or other settings.
        """
        self._check(state)
        self.trainer.load_state_dict(state["trainer"])
        if state["epoch"] == self.store.epoch:
            self.trained_until = state["trained_until"]
            self.open = Round.from_state_dict(state["open"]) if state["open"] is not None else None
            self._resumed = True

    def load_learned(self, state: dict[str, Any]) -> None:
        """Start from what another run learned, with this run's step size.

        Raises:
            CheckpointError: if it belongs to another grid or other settings.
        """
        self._check(state)
        self.trainer.load_state_dict(state["trainer"])
        self.trainer.learning_rate = self.settings.learning_rate

    def _check(self, state: dict[str, Any]) -> None:
        got = (state["agents"], state["inputs"], state["heads"])
        expected = (list(self.agents), self.trainer.n_inputs, self.trainer.n_heads)
        if got != expected:
            msg = (
                f"checkpoint of another critic: (agents, inputs, heads) are {got}, but {expected} for this "
                f"grid and these settings; start with an empty models folder"
            )
            raise CheckpointError(msg)
