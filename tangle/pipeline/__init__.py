"""Sub-models wired by named boundaries, with buckets, trained as one."""

from tangle.pipeline import clusters, joint, paths, replicas

__all__ = ["clusters", "joint", "paths", "replicas"]
