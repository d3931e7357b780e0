"""AWS on one machine: the real Pulumi engine against an emulated AWS, with state on the local disk.

Nothing but `cli/` and `tests/engine` imports this package, and the program runs without it.
"""
