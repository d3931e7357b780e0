"""The tests: unit with mocks, engine on the real engine in sandboxes of their own."""
