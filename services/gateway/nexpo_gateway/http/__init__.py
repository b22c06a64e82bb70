"""HTTP: requests into messages, messages and faults into answers and streams."""
