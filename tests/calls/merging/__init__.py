"""Valid calls of `implicitly.merging`: see ``tests/calls/__init__.py``."""
