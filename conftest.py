"""For every pytest run of the repository, that of `chapters` under nbval too."""

pytest_plugins = ["nbval_numbers", "room"]
