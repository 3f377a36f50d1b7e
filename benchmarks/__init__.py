"""How fast this is, beside other programs that read HAProxy's logs, on one corpus in one run."""
