"""How all tests run."""

import os

from hypothesis import settings

# Where a change is judged, the same examples are drawn each time: what fails is the change's.
settings.register_profile("judged", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judged")

# Commands run as they do for a user: with what is printed kept until there is enough of it.
os.environ.pop("PYTHONUNBUFFERED", None)
