"""How many histories are tried: HYPOTHESIS_PROFILE=quick (200 each) or thorough (1,000 each, the default)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_ALWAYS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("quick", max_examples=200, **_ALWAYS)
settings.register_profile("thorough", max_examples=1000, **_ALWAYS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "thorough"))
