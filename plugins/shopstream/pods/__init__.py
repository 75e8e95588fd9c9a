"""The kubernetes runtime's objects: what pods and the SparkApplication look like, and what their states mean."""
