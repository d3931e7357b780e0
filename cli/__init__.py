"""The verbs of ./infra. Help around plain Pulumi, never a gate in its way: the program imports none of it."""
