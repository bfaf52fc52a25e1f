"""The policies and lists that ship, as YAML: adopted by name (`library:us-exit`), read with `importlib.resources`."""
