"""The API: parse, call one action, serialize."""
