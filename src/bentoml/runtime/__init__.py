"""Bento -> answers: the request path and the processes around it."""
