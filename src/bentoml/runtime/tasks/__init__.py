"""Tasks: calls that are kept on disk, run in the background by any worker of the service, and fetched later."""
