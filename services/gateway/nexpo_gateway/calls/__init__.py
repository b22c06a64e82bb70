"""One call, whatever its surface: admitted, checked, bound to its key, passed on."""
