"""Requests that AWS refuses, and what it accepts instead, by the part of AWS that they are for.

Each table has, by the name of the mistake: the request, the code of AWS's error, and the right counterpart, or None if
another entry shows it. The sources are beside the rules in sandbox/emulator/rules.
"""
