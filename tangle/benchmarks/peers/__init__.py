"""Other frameworks on the same tasks, each contender in its own process."""
