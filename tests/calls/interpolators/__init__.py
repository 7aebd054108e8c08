"""Valid calls of `implicitly.interpolators`: see ``tests/calls/__init__.py``."""
