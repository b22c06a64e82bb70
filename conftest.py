"""Gives every test of the workspace the servers of the embedded stack as fixtures."""

pytest_plugins = ["nexpo_dev.pytest_plugin"]
