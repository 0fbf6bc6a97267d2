"""The critic node: feeds the centralized critic from the bus, and serves its answers."""

from __future__ import annotations

from pathlib import Path

import torch as th

from agents.critic import checkpoint
from agents.critic.centralized import CentralizedCritic
from agents.critic.errors import DivergenceError, RolloutError
from agents.critic.history import History
from agents.critic.progress import Progress
from agents.critic.settings import CriticNodeSettings
from agents.critic.trainer import UpdateReport
from agents.errors import AgentsError
from broker import Node, topics
from broker.messages import AdvantageRequest, Advantages, GridDescription, GridState
from broker.services import ADVANTAGES
from broker.stopwatch import Stopwatch

CHECKPOINT = "critic.pt"


class CriticNode:
    """The critic on the bus.

    Args:
        node: the connection to the broker.
        settings: what it serves, and where it keeps what it learns.
    """

    def __init__(self, node: Node, settings: CriticNodeSettings) -> None:
        th.set_num_threads(1)  # agents share the cores, and sums must not depend on how many there are
        self._node = node
        self._settings = settings
        self._critic: CentralizedCritic | None = None
        self._saved: object = None  # journal of the open round, as in the checkpoint
        self._failure: AgentsError | None = None  # that ends this node
        self._jumped = False  # a tick was left out since gaps were last filled
        self._watch = Stopwatch()
        self._progress = Progress(settings.tensorboard_dir, settings.updates)
        self._descriptions = node.subscription(topics.DESCRIPTION, GridDescription, keep=10)
        self._states = node.subscription(topics.STATE, GridState, keep=settings.settings.history_ticks)
        self._history = History(node)
        node.server(ADVANTAGES, self._answer)
        rate = settings.settings.learning_rate
        node.parameters.declare("learning_rate", rate, "step size of the value network's optimizer")
        node.parameters.on_change("learning_rate", self._set_learning_rate)

    def run(self) -> int:
        """Serve until the node is stopped; train when all agents have their answers.

        Returns:
            the process's exit code.

        Raises:
            CheckpointError: if the checkpoint cannot be used.
            DivergenceError: if training has no finite result.
        """
        self._node.ready(timeout_s=30.0)
        self._watch.lap("waiting")
        while self._node.ok():
            self._receive()
            self._fill_gaps()
            if self._critic is not None and self._critic.due:
                self._train(self._critic)
            self._watch.lap("messaging")
            self._node.spin(0.5)
            self._watch.lap("waiting")
            if self._failure is not None:
                raise self._failure
        self._finish()
        return 0

    def _answer(self, request: AdvantageRequest) -> Advantages:
        """Serve one agent; what this raises travels to the agent."""
        self._watch.lap("waiting")
        self._receive()
        if self._critic is None:
            who = f"critic: agent {request.agent} asks"
            msg = f"{who}, but no {topics.DESCRIPTION} has come; is the simulator up?"
            raise RolloutError(msg)
        critic = self._critic
        if request.epoch > critic.store.epoch:
            critic.recall(self._history.recall(request.epoch, request.first_tick + request.n_steps))
        if critic.overdue(request):
            self._catch_up(critic)
            self._train(critic)
        self._fetch(critic, critic.missing(request))
        answer = critic.answer(request)
        if critic.journal() != self._saved:
            self._save(critic)
        self._watch.lap("answering")
        return answer

    def _receive(self) -> None:
        """Take in what has arrived; grid states that cannot be used are reported and left out."""
        while (described := self._descriptions.take()) is not None:
            if self._critic is None:
                self._critic = self._begin(described.message)
            else:
                self._critic.describe(described.message)
        while self._critic is not None and (received := self._states.take()) is not None:
            newest = self._critic.store.newest
            self._jumped |= newest is not None and received.message.tick > newest + 1
            try:
                self._critic.observe(received.message)
            except AgentsError as error:
                self._node.log("error", str(error))

    def _begin(self, description: GridDescription) -> CentralizedCritic:
        """Return the critic of this grid, with what it learned before."""
        try:
            critic = CentralizedCritic(description, self._settings.settings, self._settings.agents)
            self._restore(critic)
        except AgentsError as error:
            self._failure = error
            raise
        self._node.parameters.set("learning_rate", critic.trainer.learning_rate)
        self._report(critic, None)
        return critic

    def _restore(self, critic: CentralizedCritic) -> None:
        """Go on from this run's checkpoint, else start from an earlier run's, else from nothing."""
        own = self._checkpoint
        if own is not None and own.exists():
            critic.load_state_dict(checkpoint.load(own))
            self._saved = critic.journal()
            self._node.log("info", f"goes on from {own} after {critic.trainer.version} updates")
            return
        earlier = None if self._settings.load is None else Path(self._settings.load) / CHECKPOINT
        if earlier is None:
            return
        if earlier.exists():
            critic.load_learned(checkpoint.load(earlier))
            self._node.log("info", f"starts from {earlier}")
        else:
            self._node.log("warning", f"there is no {earlier}: the critic starts anew")

    def _fill_gaps(self) -> None:
        """Fetch states that were lost on the way before the simulator forgets them."""
        if self._critic is None or not self._jumped:
            return
        self._jumped = False
        try:
            self._fetch(self._critic, self._critic.store.gaps())
        except AgentsError as error:
            self._node.log("warning", f"{error}; tried again when an agent asks")

    def _catch_up(self, critic: CentralizedCritic) -> None:
        """Fetch the states of a round that was open when this node was killed."""
        try:
            self._fetch(critic, critic.missing_to_train())
        except AgentsError as error:
            self._node.log("warning", f"{error}; one rollout is not learned from")

    def _fetch(self, critic: CentralizedCritic, ticks: list[int]) -> None:
        epoch = critic.store.epoch
        for tick in ticks:
            if critic.store.epoch == epoch and critic.store.missing(tick, tick):
                critic.recall(self._history.recall(epoch, tick))
                self._receive()  # meanwhile others may have come

    def _train(self, critic: CentralizedCritic) -> None:
        self._watch.lap("messaging")
        try:
            report = critic.train()
        except DivergenceError as error:
            self._failure = error
            raise
        self._save(critic)
        self._report(critic, report)
        self._watch.lap("learning")

    def _save(self, critic: CentralizedCritic) -> None:
        """Keep all that a successor needs; a kill at any moment then costs nothing."""
        self._saved = critic.journal()
        if self._checkpoint is not None:
            checkpoint.save(self._checkpoint, critic.state_dict())

    @property
    def _checkpoint(self) -> Path | None:
        folder = self._settings.models_dir
        return None if folder is None else Path(folder) / CHECKPOINT

    def _report(self, critic: CentralizedCritic, report: UpdateReport | None) -> None:
        if report is not None:
            self._progress.record(report, critic.trainer)
        note = self._progress.note(critic.trainer.version, critic.skipped_rounds, report)
        self._node.set_status("running", tick=critic.trained_until or 0, note=note)

    def _set_learning_rate(self, value: float) -> None:
        if not value > 0.0:
            msg = f"learning_rate is {value}, expected above 0"
            raise ValueError(msg)
        if self._critic is not None:
            self._critic.trainer.learning_rate = value

    def _finish(self) -> None:
        self._progress.close()
        if self._critic is None:
            return
        trainer = self._critic.trainer
        note = self._progress.note(trainer.version, self._critic.skipped_rounds, None)
        self._node.set_status("done", tick=self._critic.trained_until or 0, note=note)
        if self._settings.run_dir is not None:
            path = Path(self._settings.run_dir) / "timing" / f"{self._node.name}.json"
            self._watch.write(path, updates=trainer.version, samples=trainer.samples)
