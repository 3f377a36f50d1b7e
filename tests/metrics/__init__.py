"""What the tests of the metrics share."""

from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
