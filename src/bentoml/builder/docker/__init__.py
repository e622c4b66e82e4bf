"""Dockerfiles, and what of a build file is for them alone."""
