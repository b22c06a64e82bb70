"""The surfaces: each turns its protocol into calls of the dispatcher, and back."""
