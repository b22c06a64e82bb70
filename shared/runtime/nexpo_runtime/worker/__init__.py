"""Workers: what they serve, by their queue and by gRPC."""
