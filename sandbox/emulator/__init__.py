"""The emulated AWS: ministack in an environment of its own, with its gaps patched and every answered write on disk."""
