"""A result as one HTML file: templates, drawings and what they need, with nothing from a network."""
