"""What a user writes: services, APIs, dependencies, hooks and types."""
