"""Sub-models with buckets, connected by named boundaries, trained as one."""

from tangle.pipeline import clusters, joint, paths, replicas

__all__ = ["clusters", "joint", "paths", "replicas"]
