"""Valid calls of `implicitly.stability`: see ``tests/calls/__init__.py``."""
