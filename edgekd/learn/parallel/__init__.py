"""Several processes that learn what one would."""
