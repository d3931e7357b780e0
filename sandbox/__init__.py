"""The sandbox: the real Pulumi engine on one machine, with an emulated AWS and state on the local disk.

Only `cli/` and `tests/engine` import this package. The Pulumi program runs without it.
"""
