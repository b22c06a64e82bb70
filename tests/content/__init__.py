"""What a request may hold, from the edge to every store and back."""
