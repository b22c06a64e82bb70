"""Mail: what people are told."""
