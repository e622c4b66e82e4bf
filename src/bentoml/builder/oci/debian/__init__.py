"""Debian packages: which ones, and the file system that they make, without running a thing of them."""
