"""Tests on the real engine, in a sandbox of their own."""
