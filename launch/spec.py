"""The launch file's schema: what may be written, of what type, with what default.

docs/launch.md is its reference for users. Times are in seconds of the wall clock, but for
`simulator.scada`, which is in simulation time.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from agents.settings import Baseline
from launch.references import Reference
from launch.restart import RestartPolicy
from launch.scada_spec import ScadaSpec

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Section(BaseModel):
    """Base of all sections: no unknown keys, no silent conversions, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RestartSpec(Section):
    """Restart policy of one node."""

    when: Literal["never", "on-failure"] = "on-failure"
    max_restarts: Annotated[int, Field(ge=0)] = 3
    first_delay_s: Seconds = 0.5
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    longest_delay_s: Seconds = 10.0

    def policy(self) -> RestartPolicy:
        """Return the policy as the supervisor uses it."""
        return RestartPolicy(**self.model_dump())


class BrokerSpec(Section):
    """The broker: where it listens, or the one to join."""

    address: str = ""  # empty: an ipc:// address in the run's own folder
    external: bool = False  # join a broker that already runs at `address`
    restart: RestartSpec = RestartSpec()


class SimulatorSpec(Section):
    """The grid and how its time goes on."""

    grid: str
    n_envs: Positive = 1  # E, copies of the grid
    options: dict[str, Any] = {}  # of the grid; docs/ has a page per grid
    scada: ScadaSpec | None = None  # None: the grid's usual link
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    copies_per_scenario: Positive = 1  # neighbouring copies that meet the same scenario
    mode: Literal["lockstep", "realtime"] = "lockstep"
    deadline_s: Seconds = 60.0  # lockstep: how long to wait for an agent
    start_deadline_s: Seconds = 120.0  # and for one that has not been heard yet
    on_missing: Literal["error", "fallback"] = "error"  # lockstep: what happens after the deadline
    period_s: Seconds | None = None  # realtime: wall time of a tick; None: the grid's own dt
    lifespan_ticks: Positive = 1  # realtime: an older action counts as missing
    external: bool = False
    restart: RestartSpec = RestartSpec()


class Linear(Section):
    """A value that changes linearly over the run."""

    start: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    end: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # at the last update


# The tags are in brackets because pydantic puts them into the path of a fault, where they are no keys.
Scheduled = Annotated[
    Annotated[float, Field(gt=0), Tag("[number]")] | Annotated[Linear, Tag("[linear]")],
    Discriminator(lambda value: "[linear]" if isinstance(value, dict | Linear) else "[number]"),
]


class Hyperparameters(Section):
    """Stable-Baselines3's own names; what is not written keeps the algorithm's default."""

    learning_rate: Scheduled | None = None
    batch_size: Positive | None = None
    n_epochs: Positive | None = None
    gamma: Share | None = None
    gae_lambda: Share | None = None
    clip_range: Scheduled | None = None
    ent_coef: Annotated[float, Field(ge=0)] | None = None
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    target_kl: Annotated[float, Field(gt=0)] | None = None
    policy_kwargs: dict[str, Any] | None = None


class MemorySpec(Section):
    """What an agent remembers of an episode; what is not written has the default of agents.recipe."""

    observations: Positive | None = None  # stacked, newest last
    actions: Annotated[int, Field(ge=0)] | None = None  # own last ones
    lags: dict[str, list[Positive]] | None = None  # feature or pattern -> ticks ago
    integrals: list[str] | None = None  # features, or patterns of their names
    integral_time_s: Seconds | None = None  # that an integral is divided by
    leak: Share | None = None  # of an integral, per tick


class AgentSpec(Section):
    """What can be said of one agent alone, laid over what `agents` says of all."""

    algorithm: Literal["ppo", "maskable_ppo", "recurrent_ppo"] | None = None
    policy: str | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    memory: MemorySpec = MemorySpec()  # its keys are laid over those of all agents
    corrects: Baseline | None = None  # a rule whose commands it corrects
    baseline: Baseline | None = None  # a rule in the place of a learning agent
    load: str | None = None  # the zip of a saved agent to start from
    external: bool = False  # started by hand; the run waits for it
    restart: RestartSpec | None = None


class AgentsSpec(Section):
    """All agents: one per cluster of the grid."""

    mode: Literal["train", "act"] = "train"
    algorithm: Literal["ppo", "maskable_ppo", "recurrent_ppo"] = "ppo"
    policy: str = ""  # empty: the algorithm's MLP policy
    n_steps: Annotated[int, Field(ge=2)] = 128  # ticks of a rollout
    updates: Positive = 50  # rollouts until the run ends
    hyperparameters: Hyperparameters = Hyperparameters()
    initial_weights: Literal["own", "kind"] = "own"  # kind: agents named alike begin alike
    memory: MemorySpec = MemorySpec()
    corrects: Baseline | None = None
    baseline: Baseline | None = None
    load: str | None = None  # a models/ folder of an earlier run to start from
    deterministic: bool = False  # mode act: take the most likely action
    checkpoint_every: Positive = 5  # updates between checkpoints
    restart: RestartSpec = RestartSpec()
    overrides: dict[str, AgentSpec] = {}  # by agent name


class CriticSpec(Section):
    """Who values the agents' actions; the network's settings are those of agents.critic."""

    mode: Literal["centralized", "independent", "none"] = "centralized"
    reward: Literal["shared", "local", "spatial"] = "shared"
    alpha: Share = 0.5  # spatial discount per hop, where reward is spatial
    hidden: list[Positive] = [256, 256]
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: Positive = 10
    minibatch_size: Positive = 512
    huber_delta: Annotated[float, Field(gt=0)] = 10.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 10.0
    popart: bool = True
    popart_decay: Annotated[float, Field(ge=0, lt=1)] = 0.95
    history_ticks: Annotated[int, Field(ge=2)] = 4096
    external: bool = False
    restart: RestartSpec = RestartSpec()


class EvaluatorSpec(Section):
    """What is evaluated after training, on the evaluator's own grid."""

    episodes: Positive = 4
    max_ticks: Positive | None = None  # of an episode; None: to its end
    policies: list[Literal["deterministic", "sampled"]] = ["deterministic"]
    baselines: list[Reference] = ["do_nothing", "reconnect_only"]
    options: dict[str, Any] = {}  # laid over simulator.options, e.g. the held-out start days
    metrics: list[str] = []  # figures for the report's table; see launch.measures
    seed: Annotated[int, Field(ge=0)] | None = None  # of the scenarios; None: they follow the run's seed


class RecorderSpec(Section):
    """What is recorded where `record` is true, into bag/ of the run folder."""

    topics: list[str] = []  # these only; none and no regex: all
    regex: str = ""  # topics that it matches as a whole
    exclude: str = ""
    max_size: Positive | None = None  # bytes; a larger file is followed by a new one
    max_duration_s: Seconds | None = None
    restart: RestartSpec = RestartSpec()


class PlayerSpec(Section):
    """A bag in somebody's place; docs/bags.md describes the roles."""

    role: Literal["to_agents", "of_agents", "fork"]
    bag: str  # of a recorded run with the same simulator and agents
    rate: Annotated[float, Field(gt=0)] = math.inf  # times as fast as it was; inf: as fast as all can follow
    max_ticks: Positive | None = None  # None: the whole bag
    fork_at: Annotated[int, Field(ge=0)] = 0  # fork: the first tick that is not replayed
    scada: ScadaSpec | None = None  # fork: the link from then on
    lost: list[str] = []  # fork: agents whose commands arrive no more from then on


class ExtraNodeSpec(Section):
    """Any other process: `python -m module arguments`."""

    module: str
    arguments: list[str] = []
    restart: RestartSpec = RestartSpec(when="never")


class LaunchSpec(Section):
    """A whole launch file, after includes, arguments and conditions."""

    name: Name
    seed: Annotated[int, Field(ge=0)] = 0  # the only seed; every role gets its own from it
    ready_timeout_s: Seconds = 60.0
    broker: BrokerSpec = BrokerSpec()
    simulator: SimulatorSpec
    agents: AgentsSpec = AgentsSpec()
    critic: CriticSpec = CriticSpec()
    evaluator: EvaluatorSpec | None = None
    record: bool = False
    recorder: RecorderSpec = RecorderSpec()
    player: PlayerSpec | None = None
    nodes: dict[Name, ExtraNodeSpec] = {}
