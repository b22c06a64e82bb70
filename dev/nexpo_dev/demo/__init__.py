"""The demo: three onboardings through the gateway, each proved by reading every store.

One finishes, one is undone because a database refuses, one survives the death of
the worker in the middle of it.
"""
