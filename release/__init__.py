"""Promotion: one service's release moves from an environment's file to the next one's, and the record says why it might.

Works on the YAML files and on Pulumi's own output; knows URNs, types and properties, not components.
"""
