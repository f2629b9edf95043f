"""What the scripts cost against the least that the same work can cost, measured side by side: `make bench`."""
