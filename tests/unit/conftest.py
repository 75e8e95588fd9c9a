"""How property-based tests run: without a clock."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On a busy machine an example takes as long as it takes: no test fails for that.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
