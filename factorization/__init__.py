"""From samples of a grid to mutual information, and from there to a partition into clusters."""
