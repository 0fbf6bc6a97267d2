"""The schema of `simulator.scada`, made from the dataclasses of simulator.link_config.

The link has one definition, in the simulator; here it only gets a form whose faults know their path.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from simulator.link_config import AgentLink


def model_of(kind: type) -> type[BaseModel]:
    """Return a model with the fields of a dataclass, nested ones too; every field may be left out."""
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    members: dict[str, Any] = {}
    for field in fields(kind):
        hint = hints[field.name]
        members[field.name] = (_as_written(hint), None)
    config = ConfigDict(extra="forbid", strict=True, frozen=True)
    return create_model(f"{kind.__name__}Spec", __config__=config, **members)


def _as_written(hint: Any) -> Any:
    """Return the type of a field as YAML has it: no dataclasses, lists for tuples."""
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    if hint == tuple[tuple[float, float], ...]:
        return list[list[float]]
    if hint == tuple[float, ...]:
        return list[float]
    return hint


AgentLinkSpec = model_of(AgentLink)


class ScadaSpec(BaseModel):
    """The link of every agent: `default`, and `agents` for what is different for one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    default: AgentLinkSpec = AgentLinkSpec()  # type: ignore[valid-type]
    agents: dict[str, AgentLinkSpec] = {}  # type: ignore[valid-type]
    age_feature: bool = False

    def settings(self) -> dict[str, Any]:
        """Return what was written, in the form that LinkConfig.from_dict reads."""
        return self.model_dump(exclude_unset=True)
