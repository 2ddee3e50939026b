"""How many histories are tried, by HYPOTHESIS_PROFILE: quick (200 each) or thorough (1,000 each, the default).

`mutants` is few and always the same: does any test object to a planted bug (tests/mutation)?
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_ALWAYS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("quick", max_examples=200, **_ALWAYS)
settings.register_profile("thorough", max_examples=1000, **_ALWAYS)
settings.register_profile(
    "mutants",
    max_examples=40,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    **_ALWAYS,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "thorough"))
