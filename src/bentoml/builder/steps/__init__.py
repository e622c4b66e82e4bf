"""What has to run in an image, in an engine, once; what comes of it is a layer that images are built upon."""
