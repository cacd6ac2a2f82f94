"""The engines: one module or one small package each, loaded by name."""
