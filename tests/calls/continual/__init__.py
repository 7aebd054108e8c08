"""Valid calls of `implicitly.continual`: see ``tests/calls/__init__.py``."""
