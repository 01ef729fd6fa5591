"""The configuration: frozen pydantic models, and how they are read and written."""
