"""The reusable component resources. Each takes plain arguments: none reads Config, the stack's name or another's insides."""
