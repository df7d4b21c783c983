"""How one classifier's answers differ from another's, sample by sample: numpy alone, no engine."""
