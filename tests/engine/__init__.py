"""Tests with the real engine, in sandboxes of their own."""
