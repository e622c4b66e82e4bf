"""A daemonless image builder: pure data in, OCI images out."""
