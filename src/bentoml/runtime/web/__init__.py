"""The page at ``/`` and plain pages beside it."""
