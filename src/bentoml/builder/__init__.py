"""Project -> bento -> image."""
