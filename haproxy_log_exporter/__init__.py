"""Prometheus metrics from HAProxy's log lines."""

__version__ = "0.1.0"
