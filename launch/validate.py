"""Check a launch tree against the schema; every fault is found at once and knows its line."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from launch.errors import Fault, LaunchError, LaunchFileError
from launch.measures import Measure
from launch.spec import LaunchSpec
from launch.suggest import did_you_mean
from launch.yaml_tree import Entry
from simulator.errors import SimulatorError
from simulator.link_config import LinkConfig

_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_pattern_mismatch": "a name of letters, digits, '_', '-' and '.'",
}


def validate(root: Entry) -> LaunchSpec:
    """Return the launch file's content, checked.

    Raises:
        LaunchFileError: holds every fault, each with file, line and key.
    """
    try:
        spec = LaunchSpec.model_validate(root.plain())
    except ValidationError as error:
        faults = [_fault(root, detail) for detail in error.errors()]
        raise LaunchFileError(sorted(faults, key=_line)) from error
    _check_scada(root, spec)
    _check_sense(root, spec)
    return spec


def fault_at(root: Entry, path: tuple[str | int, ...], text: str) -> Fault:
    """Return a fault of the value at `path`."""
    return Fault(root.place(path), ".".join(str(key) for key in path), text)


def _line(fault: Fault) -> tuple[str, int]:
    source, _, rest = fault.where.partition(":")
    digits = rest.partition(" ")[0]
    return source, int(digits) if digits.isdigit() else 0


def _fault(root: Entry, detail: ErrorDetails) -> Fault:
    path = tuple(key for key in detail["loc"] if not str(key).startswith("["))  # "[key]", tags of unions
    if detail["type"] == "extra_forbidden":
        known = _known_keys(LaunchSpec, path[:-1])
        return fault_at(root, path, f"unknown key, {did_you_mean(str(path[-1]), known)}")
    if detail["type"] == "missing":
        return fault_at(root, path, "is missing, and has no default")
    expected = _EXPECTED.get(detail["type"]) or detail["msg"].removeprefix("Input should be ")
    near = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        near = _nearest(detail["input"], str(detail.get("ctx", {}).get("expected", "")))
    return fault_at(root, path, f"got {detail['input']!r}, expected {expected}{near}")


def _nearest(got: str, expected: str) -> str:
    options = [word for word in expected.split("'") if word.strip(", ") not in ("", "or")]
    hint = did_you_mean(got, options)
    return f"; {hint}" if hint.startswith("did") else ""


def _known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    current: Any = model
    for key in path:
        current = _step_into(current, key)
    return sorted(current.model_fields) if _is_model(current) else []


def _step_into(current: Any, key: str | int) -> Any:
    """Return the type at `key` of a model, or of the values of a dict or list of models."""
    inner = current.model_fields[str(key)].annotation if _is_model(current) else get_args(current)[-1]
    options = [option for option in _options(inner) if _is_model(option)]
    is_union = type(None) in get_args(inner)
    return options[0] if is_union and options else inner


def _options(kind: Any) -> list[Any]:
    """Return the members of a union, at any depth of unions and annotations."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [kind]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _check_scada(root: Entry, spec: LaunchSpec) -> None:
    if spec.simulator.scada is None:
        return
    try:
        LinkConfig.from_dict(spec.simulator.scada.settings())
    except SimulatorError as error:
        raise LaunchFileError([fault_at(root, ("simulator", "scada"), str(error))]) from error


def _check_sense(root: Entry, spec: LaunchSpec) -> None:
    """Check what no single key can tell."""
    faults = []
    if spec.broker.external and not spec.broker.address:
        faults.append(fault_at(root, ("broker", "external"), "needs broker.address, such as tcp://host:5550"))
    if spec.agents.mode == "train" and spec.critic.mode == "none" and spec.agents.baseline is None:
        text = "got 'none', but agents.mode is 'train'; choose another, or agents.mode: act"
        faults.append(fault_at(root, ("critic", "mode"), text))
    if spec.simulator.mode == "lockstep" and spec.simulator.period_s is not None:
        text = "is for simulator.mode: realtime; lockstep waits for the agents"
        faults.append(fault_at(root, ("simulator", "period_s"), text))
    siblings, copies = spec.simulator.copies_per_scenario, spec.simulator.n_envs
    if copies % siblings:
        text = f"got {siblings}, expected a divisor of simulator.n_envs = {copies}"
        faults.append(fault_at(root, ("simulator", "copies_per_scenario"), text))
    if spec.critic.history_ticks <= spec.agents.n_steps:
        text = f"got {spec.critic.history_ticks}, expected more than agents.n_steps = {spec.agents.n_steps}"
        faults.append(fault_at(root, ("critic", "history_ticks"), text))
    faults += _fork_faults(root, spec)
    for index, text in enumerate(spec.evaluator.metrics if spec.evaluator else ()):
        try:
            Measure.parse(text)
        except LaunchError as error:
            faults.append(fault_at(root, ("evaluator", "metrics", index), str(error)))
    if faults:
        raise LaunchFileError(faults)


def _fork_faults(root: Entry, spec: LaunchSpec) -> list[Fault]:
    """Find a fork that would never come, because the run is over before it."""
    if spec.player is None or spec.player.role != "fork":
        return []
    ticks = spec.agents.n_steps * spec.agents.updates
    if spec.player.max_ticks is not None:
        ticks = min(ticks, spec.player.max_ticks)
    if spec.player.fork_at < ticks:
        return []
    text = f"got {spec.player.fork_at}, but the run has {ticks} ticks; give an earlier one, or agents.updates"
    return [fault_at(root, ("player", "fork_at"), text)]
