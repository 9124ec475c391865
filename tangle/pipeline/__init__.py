"""Sub-models wired by named boundaries, with buckets, trained as one."""
