"""What a build file says: YAML or TOML as typed data, each mistake named, and the schema of it."""
