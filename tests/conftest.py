"""Property tests try the same examples each time; `--hypothesis-profile=default` tries new ones (weekly workflow)."""

from hypothesis import settings

settings.register_profile("same-each-time", derandomize=True, deadline=None)
settings.load_profile("same-each-time")
