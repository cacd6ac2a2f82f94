"""The operator's commands: what a person runs on the node."""
