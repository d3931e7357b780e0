"""Policies as pure functions: they take plain values and return documents, and create nothing."""
