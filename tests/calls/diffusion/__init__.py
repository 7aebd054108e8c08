"""Valid calls of `implicitly.diffusion`: see ``tests/calls/__init__.py``."""
