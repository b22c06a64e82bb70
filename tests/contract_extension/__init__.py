"""The gateway has no line of code per RPC: proven with RPCs that it has never seen."""
