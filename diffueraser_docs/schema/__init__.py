"""What each YAML file in ``facts/`` may hold: one module per file, shared parts in ``base``."""
