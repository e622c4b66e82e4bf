"""Bento -> image: what it will be, made for each platform, delivered, and told."""
