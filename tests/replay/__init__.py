"""The scripts against recorded outputs of real clusters: programs on PATH replay them, a small server plays the Hub."""
