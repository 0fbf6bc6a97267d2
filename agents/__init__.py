"""Decentralized Stable-Baselines3 agents and the critic service they share."""
