"""The emulator: ministack in its own virtual environment, with its gaps patched and every answered write on disk."""
