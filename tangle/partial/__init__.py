"""One sub-model: forward in one run of a session, backward in another."""
