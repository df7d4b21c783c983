"""Training that tells little of any one sample."""
