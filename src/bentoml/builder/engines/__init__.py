"""Engines that build by a bento's Dockerfile: docker, buildx, podman, buildah, nerdctl, buildctl, and those of a user."""
