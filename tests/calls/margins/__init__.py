"""Valid calls of `implicitly.margins`: see ``tests/calls/__init__.py``."""
