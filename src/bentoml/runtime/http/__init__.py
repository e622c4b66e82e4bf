"""Bytes of HTTP in and out, and the server around them."""
