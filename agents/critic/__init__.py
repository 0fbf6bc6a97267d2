"""The centralized critic: one value network on the global state, asked for advantages by all agents."""
