"""From a HAProxy log-format string to one regular expression for whole chunks of lines."""
