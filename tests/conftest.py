"""Settings of all tests; this file also puts the folder on the path, for `helpers`."""

from hypothesis import settings

# A first call may compile, which no deadline for one example allows for.
settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
