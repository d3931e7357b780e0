"""Pulumi's mocks for this program: the gate and the tests run it with them, without an engine and without AWS."""
