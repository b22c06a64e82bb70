"""The protoc plugin and the generators of the workspace."""
