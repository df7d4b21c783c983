"""One step of distillation put together: its participants, its losses connected to layers, its scheme."""
