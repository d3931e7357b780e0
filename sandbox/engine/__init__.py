"""The Pulumi engine: had by the first way that works, and a language host where the engine comes without one."""
