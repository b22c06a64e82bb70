"""The `nexpo` command: every RPC of the contract, built from its descriptors."""

__version__ = "0.1.0"
