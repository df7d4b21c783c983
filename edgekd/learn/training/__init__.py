"""The training loop, its arithmetic and what it keeps for a resume."""
