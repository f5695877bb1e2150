"""From recorded traces to a topology: formats, trees, statistics, inference, writing."""
