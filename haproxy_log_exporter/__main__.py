"""`python -m haproxy_log_exporter`."""

from haproxy_log_exporter.cli import main

main()
