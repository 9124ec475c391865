"""Reading and copying static graphs. Nothing here runs a session."""
