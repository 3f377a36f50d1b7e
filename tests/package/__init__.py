"""The Debian package as an operator has it: installed by apt in a Debian of its own that systemd runs."""
