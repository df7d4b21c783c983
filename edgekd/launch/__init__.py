"""Several processes that a launcher started for one run: who they are, and what they tell one another."""
