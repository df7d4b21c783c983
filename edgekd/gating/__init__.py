"""What asks the gates: the policy, the two sides, their samples, the judgement and its document."""
