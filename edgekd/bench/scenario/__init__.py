"""Other ways to run a model than one inference after the other: throughput, sustained, paced, energy."""
