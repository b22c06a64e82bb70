"""The same work on the bare SDK, as its documentation says: what our house is compared with."""
