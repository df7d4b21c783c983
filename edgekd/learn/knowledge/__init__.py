"""A teacher's answers on disk: rows of a fixed size, in shards that are read as memory maps."""
