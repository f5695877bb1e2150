"""What `motel-locust check` looks at: bounds, samples, volume; everything but the words."""
