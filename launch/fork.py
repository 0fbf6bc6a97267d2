"""Fork: a simulator that repeats a recorded run up to tick t, and goes on live from its state there.

A simulator depends on nothing but its seed and its actions, so the snapshot of tick t is got by giving it the
recorded actions again; each state on the way is compared with the recorded one. The live agents see the same
observations and answer them, so that they too are in the state of tick t; their answers count from there on.

`python -m launch.fork --name simulator --broker ADDRESS --config FILE.json`
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker import Node
from broker.bag.errors import BagError
from broker.bag.process import arguments, serve
from broker.bag.rounds import Round, rounds
from broker.errors import BrokerError
from simulator.actions import checked_action
from simulator.errors import ActionError, SimulatorError
from simulator.frame import Actions, Frame
from simulator.link_config import LinkConfig
from simulator.making import make_world
from simulator.node import SimulatorNode
from simulator.settings import SimulatorSettings
from simulator.world import World


@dataclass(frozen=True)
class ForkSettings:
    """Where the run forks, and into what."""

    bag: str
    at: int  # the first tick whose live actions count
    scada: Mapping[str, Any] | None = None  # the link from then on; None: as it is
    lost: tuple[str, ...] = ()  # agents whose commands arrive no more from then on


class ForkedWorld(World):
    """A world whose first ticks are those of a recorded run."""

    def __init__(self, world: World, fork: ForkSettings) -> None:
        unknown = sorted(set(fork.lost) - set(world.spec.agents))
        if unknown:
            msg = f"fork: unknown agents {unknown} to be lost, expected some of {list(world.spec.agents)}"
            raise BagError(msg)
        _check_reaches(fork)
        self.__dict__.update(world.__dict__)
        self._fork = fork
        self._rounds: Iterator[Round] = iter(())

    def reset(self, seed: int | None = None) -> Frame:
        """Begin; the first ticks of each epoch are the recorded ones."""
        frame = super().reset(seed)
        self._rounds = rounds(Path(self._fork.bag))
        self._check(next(self._rounds), frame)
        self._rounds = rounds(Path(self._fork.bag))
        return frame

    def step(self, actions: Actions, missing: Collection[str] = (), refused: Collection[str] = ()) -> Frame:
        """Advance by the recorded actions before the fork, by the given ones after it."""
        fork, tick = self._fork, self.tick
        if tick >= fork.at:
            if tick == fork.at and fork.scada is not None:
                self.set_link(LinkConfig.from_dict(fork.scada))
            live = {agent: action for agent, action in actions.items() if agent not in fork.lost}
            gone = [agent for agent in fork.lost if agent in actions]
            return super().step(live, [*missing, *gone], refused)
        frame = super().step(*self._recorded(tick))
        following = next(self._rounds, None) if tick + 1 == fork.at else None
        if following is not None:
            self._check(following, frame)
        return frame

    def _recorded(self, tick: int) -> tuple[Actions, list[str], list[str]]:
        """Return the recorded actions of a tick, who was missing, and who was refused."""
        then = next(self._rounds, None)
        if then is None or then.tick != tick:
            msg = f"{self._fork.bag}: ends before tick {self._fork.at}, where the run is to fork"
            raise BagError(msg)
        given, refused = {}, []
        for agent, action in then.actions.items():
            try:
                given[agent] = checked_action(self.spec, agent, action.action)
            except ActionError:
                refused.append(agent)
        missing = [a for a in self.spec.agents if a not in then.actions]
        return given, missing, refused

    def _check(self, then: Round, frame: Frame) -> None:
        """Refuse to go on from a state that is not the recorded one."""
        now = np.ascontiguousarray(frame.state, np.float32)
        if now.shape != then.state.state.shape or now.tobytes() != then.state.state.tobytes():
            msg = (
                f"{self._fork.bag}: at tick {then.tick} the simulator's state is not the recorded one, so it "
                "cannot be forked: start it with the grid, options, link and seed of the recorded run"
            )
            raise BagError(msg)


def _check_reaches(fork: ForkSettings) -> None:
    """Refuse a fork after the end of the bag: the run would end before it."""
    last = -1
    for recorded in rounds(Path(fork.bag)):
        last = recorded.tick
        if last >= fork.at:
            return
    msg = f"{fork.bag}: ends at tick {last}, so it cannot be forked at {fork.at}; give an earlier tick"
    raise BagError(msg)


def _build(node: Node, values: dict[str, Any]) -> Any:
    values = dict(values)
    fork = ForkSettings(**values.pop("fork"))
    settings = SimulatorSettings.from_dict(values)
    world = make_world(settings)
    return _Forked(node, SimulatorNode(node, ForkedWorld(world, fork), settings), world)


class _Forked:
    """The simulator node as a process has it."""

    def __init__(self, node: Node, running: SimulatorNode, world: World) -> None:
        self._node, self._running, self._world = node, running, world

    def run(self) -> int:
        """Run to the end."""
        try:
            return self._running.run()
        finally:
            self._world.close()

    def stop(self) -> None:
        """End soon."""
        self._node.stop()


def main() -> int:
    """Be the node `simulator`."""
    options = arguments("python -m launch.fork", __doc__)
    try:
        return serve(*options, _build)
    except (BrokerError, SimulatorError) as error:
        sys.stderr.write(f"{type(error).__module__}.{type(error).__name__}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
