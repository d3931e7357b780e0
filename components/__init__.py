"""The components, and the functions that create the parts they share.

A component takes typed arguments and creates resources below itself. None reads Pulumi's configuration, the stack's
name or another component's private attributes. A function that creates resources takes their component as `parent`.
"""
