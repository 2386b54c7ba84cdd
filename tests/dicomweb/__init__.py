"""Archives, imports and headers, without Django."""
