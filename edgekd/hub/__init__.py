"""Bundles on the Hugging Face Hub, through its own client: a model card for people, and what goes up and comes down."""
