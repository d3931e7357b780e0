"""The Pulumi engine: how the sandbox obtains it, and a language host for an engine that comes without one."""
