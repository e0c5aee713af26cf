from __future__ import annotations

from hypothesis import settings

# No deadline: no test asserts a time. The same examples each time: a red run is red again.
settings.register_profile("custody", deadline=None, derandomize=True)
settings.load_profile("custody")
