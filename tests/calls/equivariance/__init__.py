"""Valid calls of `implicitly.equivariance`: see ``tests/calls/__init__.py``."""
