"""The site: studies, readings, images and results."""
