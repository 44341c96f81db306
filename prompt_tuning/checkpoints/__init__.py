"""Weights and prompts on disk: a run's own checkpoints, the frozen model's own format."""
