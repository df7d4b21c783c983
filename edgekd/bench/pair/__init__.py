"""Two models against each other: interleaved pairs of fresh processes, and what they say."""
