"""What a service says of itself: by importing it elsewhere, or by reading its source."""
