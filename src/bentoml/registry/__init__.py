"""Registries: the client side of the OCI distribution specification, for images and for whatever else is kept there."""
