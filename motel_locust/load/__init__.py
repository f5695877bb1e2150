"""The Locust side."""
