"""Deterministic simulation: real workflow code over modelled stores, under every fault.

The workflows run unchanged on the in-process engine with a virtual clock. What
is modelled is the world around them: databases, object storage, mail, the model
that writes texts, people, and everything that can go wrong between them.
"""
