"""Data only: Dockerfile templates, manifests, project scaffolds."""
