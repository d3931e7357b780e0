"""Promotion: moving one service's release from one environment to the next, checked by a gate and noted in a journal.

This package works on the environment files and on Pulumi's own output. It knows URNs, resource types and properties,
but not the components. Its decisions are pure functions; the commands that use them are in cli/.
"""
