"""Valid calls of `implicitly.langevin`: see ``tests/calls/__init__.py``."""
