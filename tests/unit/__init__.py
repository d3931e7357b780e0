"""Tests with Pulumi's mocks: no engine, no network."""
