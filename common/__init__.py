"""What every other package may use: errors, messages on the terminal, and files.

It imports nothing else of this project.
"""
