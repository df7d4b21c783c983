"""Samples that come one after the other, perhaps without an end, and their shards on the disk."""
