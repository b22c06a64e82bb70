"""Looks for what must not be anywhere in clear text."""
