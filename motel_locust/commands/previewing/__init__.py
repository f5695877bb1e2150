"""What `motel-locust preview` shows: rates over time and call graphs, as SVG and as text."""
